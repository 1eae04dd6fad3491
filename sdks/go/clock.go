package hallpass

import (
	"sync"
	"time"
)

// sleeplessClock is for systems whose own clock may stop while the machine sleeps: of two clocks it goes with the one that
// went further since it was asked last. A time of day that is set forward makes everything older for a moment, and one that
// is set back nothing.
type sleeplessClock struct {
	mu sync.Mutex
	// monotonic and wall are milliseconds.
	monotonic, wall         func() int64
	lastMonotonic, lastWall int64
	elapsed                 int64
}

func newSleeplessClock(monotonic, wall func() int64) *sleeplessClock {
	return &sleeplessClock{monotonic: monotonic, wall: wall, lastMonotonic: monotonic(), lastWall: wall()}
}

func (c *sleeplessClock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	monotonic, wall := c.monotonic(), c.wall()
	step := monotonic - c.lastMonotonic
	if byWall := wall - c.lastWall; byWall > step {
		step = byWall
	}
	if step > 0 {
		c.elapsed += step
	}
	c.lastMonotonic, c.lastWall = monotonic, wall
	return c.elapsed
}

// machinesSleepless is a sleeplessClock by the clocks of this machine.
func machinesSleepless() func() int64 {
	start := time.Now()
	monotonic := func() int64 { return time.Since(start).Milliseconds() }
	wall := func() int64 { return time.Now().UnixMilli() }
	return newSleeplessClock(monotonic, wall).now
}
