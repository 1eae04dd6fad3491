//go:build !linux

package hallpass

// machinesMonotonic is the time that ages are counted by, milliseconds.
func machinesMonotonic() func() int64 { return machinesSleepless() }
