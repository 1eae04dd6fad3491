package hallpass

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// untoldMaxAge is for an issuer that does not say how long its keys are good.
	untoldMaxAge = 300 * time.Second
	// Keys are asked for once a day at least, whatever the issuer says.
	longestMaxAge = 24 * time.Hour
)

// keys are those in use, and who wants newer ones.
type keys struct {
	ring atomic.Pointer[keyRing]
	// wanted has a place for one wish.
	wanted   chan struct{}
	coolDown time.Duration

	mu sync.Mutex
	// failing says whether the last fetch failed; wantedAt is the end of the last one that brought the keys because somebody
	// wanted them; ended is closed at the end of the next one.
	failing  bool
	wantedAt time.Time
	ended    chan struct{}
}

// keyRing is a key set with the tokens that were verified by it: other keys, and they are forgotten.
type keyRing struct {
	verifier *verifier
	cache    *tokenCache
}

// verify checks signature and claims, by the cache where the token is known.
func (r *keyRing) verify(token string, now time.Time) (*known, *Error) {
	if len(token) > tokenMaxBytes {
		return nil, errTooLong
	}
	print := sha256.Sum256([]byte(token))
	if found := r.cache.find(print); found != nil {
		if refusal := r.verifier.checkTimes(found.claims, now); refusal != nil {
			r.cache.remove(print)
			return nil, refusal
		}
		return found, nil
	}
	found, refusal := r.verifier.verify(token, now)
	if refusal == nil {
		r.cache.insert(print, found)
	}
	return found, refusal
}

func newKeys(coolDown time.Duration) *keys {
	return &keys{wanted: make(chan struct{}, 1), coolDown: coolDown, ended: make(chan struct{})}
}

func (k *keys) len() int {
	if ring := k.ring.Load(); ring != nil {
		return len(ring.verifier.keys)
	}
	return 0
}

// want asks for a fetch as soon as the cool-down allows one.
func (k *keys) want() {
	select {
	case k.wanted <- struct{}{}:
	default:
	}
}

// onUnknownKid is what a token with an unknown key id means right now: a verdict, or errKeysOutOfDate; due says that it is
// time to ask.
func (k *keys) onUnknownKid() (refusal *Error, due bool, ended <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.failing:
		return errKeysOutOfDate, false, nil
	case !k.wantedAt.IsZero() && time.Since(k.wantedAt) < k.coolDown:
		return errUnknownKey, false, nil
	}
	return errKeysOutOfDate, true, k.ended
}

// settle waits until the issuer has been asked for its keys, where that is due; whether it answered.
func (k *keys) settle(ctx context.Context, patience time.Duration) bool {
	refusal, due, ended := k.onUnknownKid()
	if !due {
		return refusal == errUnknownKey
	}
	k.want()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
		k.mu.Lock()
		defer k.mu.Unlock()
		return !k.failing
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (k *keys) fetchEnded(well, wanted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failing = !well
	if wanted && well {
		k.wantedAt = time.Now()
	}
	close(k.ended)
	k.ended = make(chan struct{})
}

// keyKeeper fetches the keys; there is one a validator, so no two fetches are ever under way at once.
type keyKeeper struct {
	issuer *issuer
	keys   *keys
	jwks   *url.URL
	// rules are issuer, audience and whatever else holds for all keys.
	rules        verifier
	cachedTokens int
	// The set in use as it came; nil where there is none.
	body []byte
	etag string
	log  *logger
}

// run keeps the keys up to date until ctx ends; those that are known are good for that long.
func (k *keyKeeper) run(ctx context.Context, goodFor time.Duration) {
	var backoff backoff
	for {
		wanted, on := k.rest(ctx, goodFor)
		for ; on; on = sleep(ctx, k.sitOut(&backoff)) {
			age, err := k.fetch(ctx, wanted)
			if err == nil {
				goodFor = age
				break
			}
			k.log.warn(ctx, "the issuer's keys cannot be fetched", err)
			backoff.last = err
		}
		if !on || ctx.Err() != nil {
			return
		}
		backoff.reset()
	}
}

// rest waits until the keys are out of date, or until somebody wants newer ones and the cool-down allows it; whether it was
// the latter.
func (k *keyKeeper) rest(ctx context.Context, goodFor time.Duration) (wanted, on bool) {
	outOfDate := time.NewTimer(goodFor)
	defer outOfDate.Stop()
	k.keys.mu.Lock()
	cooling := time.NewTimer(k.keys.coolDown - time.Since(k.keys.wantedAt))
	k.keys.mu.Unlock()
	defer cooling.Stop()
	var wish <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return false, false
		case <-outOfDate.C:
			return false, true
		case <-cooling.C:
			wish = k.keys.wanted
		case <-wish:
			return true, true
		}
	}
}

// sitOut is the pause after a failure. Without any keys it is worth asking often; with some, no more than otherwise.
func (k *keyKeeper) sitOut(backoff *backoff) time.Duration {
	pause := backoff.next(backoff.last)
	if k.body != nil && pause < k.keys.coolDown {
		return k.keys.coolDown
	}
	return pause
}

// fetch fetches the keys once; the answer is how long they are good. wanted: because of a key id that was not known.
func (k *keyKeeper) fetch(ctx context.Context, wanted bool) (time.Duration, error) {
	goodFor, err := k.tryFetch(ctx)
	k.keys.fetchEnded(err == nil, wanted)
	return goodFor, err
}

func (k *keyKeeper) tryFetch(ctx context.Context) (time.Duration, error) {
	request, err := get(k.jwks, "application/jwk-set+json, application/json")
	if err != nil {
		return 0, err
	}
	if k.etag != "" {
		request.Header.Set("If-None-Match", k.etag)
	}
	answer, err := k.issuer.transport.send(ctx, request, shortAnswer)
	if err != nil {
		return 0, err
	}
	if answer.status == http.StatusNotModified && k.body != nil {
		return maxAge(answer.headers), nil
	}
	if err := answer.ok(); err != nil {
		return 0, err
	}
	return maxAge(answer.headers), k.takeIn(answer.body, answer.headers.Get("Etag"))
}

// fetched is the end of a fetch that was wanted: the set that came, or nil where none did.
func (k *keyKeeper) fetched(body []byte) {
	k.keys.fetchEnded(body != nil && k.takeIn(body, "") == nil, true)
}

// takeIn puts a new set in use. A set that is broken or has no key of use is none: the last good one stays.
func (k *keyKeeper) takeIn(body []byte, etag string) error {
	if k.body == nil || !bytes.Equal(k.body, body) {
		set, err := parseKeySet(body)
		if err != nil {
			return err
		}
		rules := k.rules
		rules.keys = set
		k.keys.ring.Store(&keyRing{verifier: &rules, cache: newTokenCache(k.cachedTokens)})
	}
	k.body, k.etag = body, etag
	return nil
}

// maxAge is how long an answer is good (RFC 9111 5.2.2.1), within bounds.
func maxAge(headers http.Header) time.Duration {
	for _, directive := range strings.Split(strings.Join(headers.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 64)
		if err != nil || asciiLower(name) != "max-age" {
			continue
		}
		switch {
		case seconds < 1:
			return time.Second
		case seconds > uint64(longestMaxAge/time.Second):
			return longestMaxAge
		}
		return time.Duration(seconds) * time.Second
	}
	return untoldMaxAge
}

// cacheShards is into how many parts the cache is divided, so that requests do not wait for one another.
const cacheShards = 16

type fingerprint = [sha256.Size]byte

// tokenCache is a bounded number of tokens that were found right before: the signature is what a check costs. Only right
// tokens get in, so nobody without a key can push others out.
type tokenCache struct {
	shards [cacheShards]generations
	// per is how many tokens a generation of a shard may have.
	per int
}

// generations are two halves: what was used lately, and what was used before that. When the first is full it becomes the
// second, and whatever is still in the second is forgotten.
type generations struct {
	sync.Mutex
	young, old map[fingerprint]*known
}

func newTokenCache(capacity int) *tokenCache {
	return &tokenCache{per: (capacity + 2*cacheShards - 1) / (2 * cacheShards)}
}

func (c *tokenCache) shard(print fingerprint) *generations { return &c.shards[print[0]%cacheShards] }

func (c *tokenCache) find(print fingerprint) *known {
	shard := c.shard(print)
	shard.Lock()
	defer shard.Unlock()
	if found := shard.young[print]; found != nil {
		return found
	}
	found := shard.old[print]
	if found != nil {
		delete(shard.old, print)
		shard.insert(print, found, c.per)
	}
	return found
}

func (c *tokenCache) insert(print fingerprint, found *known) {
	if c.per <= 0 {
		return
	}
	shard := c.shard(print)
	shard.Lock()
	defer shard.Unlock()
	shard.insert(print, found, c.per)
}

func (c *tokenCache) remove(print fingerprint) {
	shard := c.shard(print)
	shard.Lock()
	defer shard.Unlock()
	delete(shard.young, print)
	delete(shard.old, print)
}

func (g *generations) insert(print fingerprint, found *known, most int) {
	if len(g.young) >= most || g.young == nil {
		g.old, g.young = g.young, map[fingerprint]*known{}
	}
	g.young[print] = found
}
