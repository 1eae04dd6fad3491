package hallpass

import (
	"context"
	"math/rand"
	"time"
)

const (
	// firstPause is before the first new attempt.
	firstPause = 100 * time.Millisecond
	// longestPause is no longer: a feed that is back is to be found within seconds.
	longestPause = 5 * time.Second
	// longestAskedFor is the most that a server's Retry-After makes us wait.
	longestAskedFor = 30 * time.Second
)

// backoff is pauses between attempts: twice as long each time, and shortened by chance, so that the clients of an issuer
// that comes back do not all come at once.
type backoff struct {
	attempts uint
	// last is why the last attempt failed.
	last error
}

// next is the next pause, between half and all of its length, and at least as long as the issuer asked for.
func (b *backoff) next(err error) time.Duration {
	full := longestPause
	if b.attempts < 6 {
		full = firstPause << b.attempts
	}
	if full > longestPause {
		full = longestPause
	}
	b.attempts++
	pause := full/2 + fraction(full/2)
	if asked, _ := retryAfterOf(err); asked > pause {
		return asked
	}
	return pause
}

// soon is a pause of chance that counts as no attempt: nothing went wrong, and not everybody is to come at once.
func (b *backoff) soon() time.Duration { return fraction(firstPause) }

func (b *backoff) reset() { b.attempts, b.last = 0, nil }

// fraction is from nothing to all of it; nobody gains by guessing how much.
func fraction(of time.Duration) time.Duration { return time.Duration(rand.Int63n(int64(of) + 1)) }

// sleep waits, and says whether it did so to the end.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
