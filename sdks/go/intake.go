package hallpass

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const pruneEveryMs = 30_000

// feed is what is known of the issuer's revocations, and how long ago it was complete.
type feed struct {
	list atomic.Pointer[denylist]
	// The moment up to which nothing is missing; never where there was none.
	completeAt atomic.Int64
	// monotonic is the time that ages are counted by, milliseconds: it goes on while the machine sleeps.
	monotonic func() int64
}

func newFeed(monotonic func() int64) *feed {
	feed := &feed{monotonic: monotonic}
	feed.list.Store(newDenylist())
	feed.completeAt.Store(never)
	return feed
}

// age is how old the knowledge is. Ask this before the list: a list that was looked at first could be an older one.
func (f *feed) age() (age time.Duration, known bool) {
	completeAt := f.completeAt.Load()
	if completeAt == never {
		return 0, false
	}
	millis := subSaturating(f.monotonic(), completeAt)
	if millis < 0 {
		millis = 0
	}
	if millis > int64(maxDuration/time.Millisecond) {
		return maxDuration, true
	}
	return time.Duration(millis) * time.Millisecond, true
}

const maxDuration = time.Duration(1<<63 - 1)

func (f *feed) isFresh(maxStaleness time.Duration) bool {
	age, known := f.age()
	return known && age <= maxStaleness
}

// completed says that everything up to that moment is in the list. There is one who says so.
func (f *feed) completed(at int64) {
	if at > f.completeAt.Load() {
		f.completeAt.Store(at)
	}
}

// intake takes in what the issuer says: no requests and no waiting. There is one a validator.
type intake struct {
	feed *feed
	// wantKeys asks for the keys when one of them is revoked.
	wantKeys     func()
	now          func() time.Time
	leeway       int64
	maxStaleness time.Duration
	// hasStream says whether there is one; without it, the list is fetched again and again.
	hasStream bool

	// cursor is behind the last entry that was taken in; nil when a snapshot is needed.
	cursor *string
	// etag is of the last snapshot, where nothing but snapshots is taken in.
	etag string
	// serverTime is the issuer's clock when it was last heard, seconds since 1970.
	serverTime int64
	prunedAt   int64
	warn       func(string)
}

// stream is one that was opened, and where the clock of the replica stands that sends it.
type stream struct {
	clock  *issuerClock
	parser sseParser
	// wasTold says whether a heartbeat has come.
	wasTold bool
}

// Why the feed is not followed for a moment.
var (
	errReset  = errors.New("the issuer wants the snapshot to be fetched again")
	errMoved  = errors.New("the feed goes on at another replica")
	errClosed = errors.New("the feed has ended")
	errSilent = errors.New("the feed fell silent")
	errLate   = errors.New("the feed is late")
)

// notUnderstood is about an entry or an event that cannot be read: what it revokes must come in another way.
type notUnderstood struct{ cause error }

func (n *notUnderstood) Error() string {
	return "the feed says something that is not understood: " + n.cause.Error()
}
func (n *notUnderstood) Unwrap() error { return n.cause }

// interrupted says what is to be done about an error: whether to go on from the cursor is of use.
func (i *intake) interrupted(err error) {
	var unread *notUnderstood
	var refused *statusError
	switch {
	case errors.Is(err, errReset), errors.As(err, &unread):
		i.cursor = nil
	case errors.As(err, &refused):
		switch refused.status {
		case 400, 404, 409, 410, 416:
			i.cursor = nil
		}
	}
}

// unchanged takes an answer that has no list for what it says of how old the last one is; whether it was one.
func (i *intake) unchanged(answer *answer, askedAt int64) (bool, error) {
	if answer.status != http.StatusNotModified || i.hasStream {
		return false, nil
	}
	clock, err := clockOf(askedAt, i.feed.monotonic(), answer.headers)
	if err != nil {
		return true, err
	}
	until, err := strconv.ParseInt(answer.headers.Get("Hallpass-Complete-Until"), 10, 64)
	if err != nil {
		return true, errNoClock
	}
	i.completedInAnswer(clock, until)
	return true, nil
}

// takeList reads an answer that is a list and puts it in the place of what is known.
func (i *intake) takeList(answer *answer, askedAt int64) error {
	clock, err := clockOf(askedAt, i.feed.monotonic(), answer.headers)
	if err != nil {
		return err
	}
	list, err := parseSnapshot(answer.body)
	if err != nil {
		return err
	}
	if !isHeaderValue(list.cursor) {
		return errJSON
	}
	i.feed.list.Store(list.list)
	i.completedInAnswer(clock, list.serverTimeMs)
	i.cursor, i.etag, i.serverTime = &list.cursor, answer.headers.Get("Etag"), list.serverTime
	return nil
}

// completedInAnswer passes over an answer that names a moment after itself: it says nothing of how old it is.
func (i *intake) completedInAnswer(clock *issuerClock, stated int64) {
	if moment, ok := clock.momentInAnswer(stated); ok {
		i.feed.completed(moment)
	} else {
		i.warn("the issuer's clock was set while it answered")
	}
}

// opened is a stream by the head of the answer that it is.
func (i *intake) opened(askedAt int64, headers http.Header) (*stream, error) {
	clock, err := clockOf(askedAt, i.feed.monotonic(), headers)
	if err != nil {
		return nil, err
	}
	return &stream{clock: clock}, nil
}

// isOver says whether the issuer's clock should be measured again, by opening a stream anew.
func (i *intake) isOver(stream *stream) bool { return stream.clock.isOver(i.feed.monotonic()) }

// heard is what some bytes of a stream have brought.
type heard struct {
	// any says whether an event has ended in them, fresh whether a heartbeat has made the knowledge young enough.
	any, fresh bool
}

// read takes in the events that end in these bytes. After an error the stream is of no use.
func (i *intake) read(stream *stream, chunk []byte) (heard, error) {
	events, err := stream.parser.read(chunk)
	outcome := heard{any: len(events) > 0}
	// What stands before a fault counts.
	for _, event := range events {
		fresh, err := i.takeIn(event, stream)
		if err != nil {
			return outcome, err
		}
		outcome.fresh = outcome.fresh || fresh
	}
	if err != nil {
		return outcome, &notUnderstood{err}
	}
	i.prune()
	return outcome, nil
}

// takeIn takes in an event; whether it makes the knowledge young enough. Only a heartbeat says that nothing is missing.
func (i *intake) takeIn(event event, stream *stream) (fresh bool, err error) {
	switch event.name {
	case "revocation":
		aboutKey, err := i.feed.list.Load().take([]byte(event.data))
		if err != nil {
			return false, &notUnderstood{err}
		}
		if aboutKey {
			i.wantKeys()
		}
	// What comes first after a disconnect may be the oldest of many that were missed.
	case "heartbeat":
		if fresh, err = i.beat(event.data, stream); err != nil {
			return false, err
		}
	case "reset":
		return false, errReset
	case "reconnect":
		// One that only sends others away is no better than one that ends.
		if !stream.wasTold {
			return false, errClosed
		}
		return false, errMoved
	}
	if event.id != nil {
		if !isHeaderValue(*event.id) {
			return false, &notUnderstood{errJSON}
		}
		i.cursor = event.id
	}
	return fresh, nil
}

var heartbeatNames = names("server_time", "server_time_ms")

func (i *intake) beat(data string, stream *stream) (fresh bool, err error) {
	stream.wasTold = true
	object, err := parseObject([]byte(data), heartbeatNames)
	if err != nil {
		return false, &notUnderstood{err}
	}
	read := reader{object: object}
	serverTime, stated := read.signed("server_time"), read.signed("server_time_ms")
	if read.err != nil {
		return false, &notUnderstood{read.err}
	}
	heardAt := i.feed.monotonic()
	moment, err := stream.clock.momentOf(stated, heardAt)
	if err != nil {
		return false, err
	}
	i.serverTime = serverTime
	i.feed.completed(moment)
	fresh = i.feed.isFresh(i.maxStaleness)
	if !fresh && stream.clock.mayBeWrong(heardAt) {
		return false, errLate
	}
	return fresh, nil
}

// prune forgets what is over by this machine's clock and by the issuer's: one that jumps ahead and back must not bring a
// revoked token to life.
func (i *intake) prune() {
	now := i.feed.monotonic()
	if i.prunedAt != 0 && subSaturating(now, i.prunedAt) < pruneEveryMs {
		return
	}
	i.prunedAt = now
	seconds := unixSeconds(i.now())
	if i.serverTime < seconds {
		seconds = i.serverTime
	}
	i.feed.list.Load().prune(subSaturating(seconds, i.leeway))
}

// isHeaderValue says whether a text can go into a header (RFC 9110 5.5).
func isHeaderValue(text string) bool {
	return strings.IndexFunc(text, func(letter rune) bool {
		return letter < ' ' && letter != '\t' || letter == 0x7f
	}) < 0
}
