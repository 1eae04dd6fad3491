package hallpass

import (
	"syscall"
	"unsafe"
)

// clockBoottime goes on while the machine sleeps (clock_gettime(2)).
const clockBoottime = 7

// machinesMonotonic is the time that ages are counted by, milliseconds: setting the time of day does not move it.
func machinesMonotonic() func() int64 {
	if _, ok := sinceBoot(); !ok {
		return machinesSleepless()
	}
	return func() int64 {
		millis, _ := sinceBoot()
		return millis
	}
}

func sinceBoot() (millis int64, ok bool) {
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano() / 1_000_000, errno == 0
}
