package hallpass

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"sync"
)

// shards is into how many maps the ids are spread: one that grows or is pruned holds up the readers of its own alone.
const shards = 64

// expiringIDs is a set of ids, each with an end in seconds since 1970.
type expiringIDs [shards]struct {
	sync.RWMutex
	ends map[uuid]int64
}

func (ids *expiringIDs) insert(id uuid, exp int64) {
	shard := &ids[id[15]%shards]
	shard.Lock()
	defer shard.Unlock()
	if shard.ends == nil {
		shard.ends = map[uuid]int64{}
	}
	if end, found := shard.ends[id]; !found || exp > end {
		shard.ends[id] = exp
	}
}

func (ids *expiringIDs) contains(id uuid) bool {
	shard := &ids[id[15]%shards]
	shard.RLock()
	defer shard.RUnlock()
	_, found := shard.ends[id]
	return found
}

func (ids *expiringIDs) prune(now int64) {
	for number := range ids {
		shard := &ids[number]
		shard.Lock()
		for id, end := range shard.ends {
			if end <= now {
				delete(shard.ends, id)
			}
		}
		shard.Unlock()
	}
}

func (ids *expiringIDs) len() (count int) {
	for number := range ids {
		ids[number].RLock()
		count += len(ids[number].ends)
		ids[number].RUnlock()
	}
	return count
}

// cutOff says that tokens which bear a number below this one do not stand.
type cutOff[N int64 | uint64] struct {
	below N
	exp   int64
}

// join makes of two cut-offs, which both hold, the greater one for as long as either.
func join[K comparable, N int64 | uint64](cutOffs map[K]cutOff[N], key K, added cutOff[N]) {
	if have, found := cutOffs[key]; found {
		if have.below > added.below {
			added.below = have.below
		}
		if have.exp > added.exp {
			added.exp = have.exp
		}
	}
	cutOffs[key] = added
}

func drop[K comparable, N int64 | uint64](cutOffs map[K]cutOff[N], now int64) {
	for key, cutOff := range cutOffs {
		if cutOff.exp <= now {
			delete(cutOffs, key)
		}
	}
}

// denylist is what has been taken back, as far as this process knows.
type denylist struct {
	tokens, sessions expiringIDs

	mu sync.RWMutex
	// By sub, the least version that stands.
	subjects map[string]cutOff[int64]
	// By kid, to the end.
	keys map[string]int64
	// By partition, the least incarnation that stands; everyPartition for all.
	parts map[int]cutOff[uint64]
}

const (
	// people is how many partitions there are of people; the one with this number is of everything else.
	people         = 64
	everyPartition = -1
)

func newDenylist() *denylist {
	return &denylist{subjects: map[string]cutOff[int64]{}, keys: map[string]int64{}, parts: map[int]cutOff[uint64]{}}
}

// isRevoked says whether anything here speaks against a token with these claims that the key kid signed. By the numbers
// that tokens bear, and no time.
func (d *denylist) isRevoked(claims *Claims, kid string) bool {
	if d.tokens.contains(claims.token) || claims.hasSession && d.sessions.contains(claims.session) {
		return true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	// A token without a version is older than any.
	if event, found := d.subjects[claims.Subject]; found && (claims.Version == nil || *claims.Version < event.below) {
		return true
	}
	if d.isDeleted(claims.ClientID) {
		return true
	}
	for _, actor := range claims.Actors {
		if d.isDeleted(actor) {
			return true
		}
	}
	for _, part := range []int{everyPartition, partitionOf(claims.Subject)} {
		if loss, found := d.parts[part]; found && claims.Incarnation < loss.below {
			return true
		}
	}
	_, found := d.keys[kid]
	return found
}

// isDeleted says whether that is a client which was deleted: what is told of an account says nothing about clients.
func (d *denylist) isDeleted(client string) bool {
	_, found := d.subjects[client]
	return found && partitionOf(client) == people
}

// prune forgets the entries that ended at now, seconds since 1970, or before.
func (d *denylist) prune(now int64) {
	d.tokens.prune(now)
	d.sessions.prune(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	drop(d.subjects, now)
	drop(d.parts, now)
	for kid, end := range d.keys {
		if end <= now {
			delete(d.keys, kid)
		}
	}
}

func (d *denylist) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.tokens.len() + d.sessions.len() + len(d.subjects) + len(d.keys) + len(d.parts)
}

// partitionOf is the part of the issuer's memory that tokens with this sub belong to.
func partitionOf(sub string) int {
	number, err := strconv.ParseUint(sub, 10, 64)
	if err != nil || strconv.FormatUint(number, 10) != sub {
		return people
	}
	return int(number % people)
}

// errUnknownKind is about an entry that is not understood: passing over it would let in what the issuer has taken back.
var errUnknownKind = errors.New(
	"a revocation names one of jti, sid, sub, kid, all; sv with sub, inc with all, partition with inc alone")

var entryNames = names("jti", "sid", "sub", "kid", "all", "sv", "inc", "partition", "exp")

// take puts an entry of the issuer's feed into the list, and says whether it is about a key.
func (d *denylist) take(text []byte) (aboutKey bool, err error) {
	entry, err := parseObject(text, entryNames)
	if err != nil {
		return false, err
	}
	return d.insert(entry)
}

func (d *denylist) insert(entry object) (aboutKey bool, err error) {
	// A member that is null is none.
	for name, raw := range entry {
		if string(raw) == "null" && name != "exp" {
			delete(entry, name)
		}
	}
	exp, err := entry.signed("exp")
	if err != nil {
		return false, err
	}
	switch kind := kindOf(entry); kind {
	case "jti", "sid":
		return false, d.insertID(kind, entry, exp)
	case "sub sv":
		return false, d.insertSubject(entry, exp)
	case "kid":
		return true, d.insertKey(entry, exp)
	case "all inc", "all inc partition":
		return false, d.insertLoss(entry, exp)
	}
	return false, errUnknownKind
}

// kindOf names the members by which kinds are told, in one order.
func kindOf(entry object) (kind string) {
	for _, name := range []string{"jti", "sid", "sub", "kid", "all", "sv", "inc", "partition"} {
		if entry.has(name) {
			if kind != "" {
				kind += " "
			}
			kind += name
		}
	}
	return kind
}

func (d *denylist) insertID(kind string, entry object, exp int64) error {
	text, err := entry.text(kind)
	if err != nil {
		return err
	}
	id, ok := parseUUID(text)
	if !ok {
		return errJSON
	}
	if kind == "jti" {
		d.tokens.insert(id, exp)
	} else {
		d.sessions.insert(id, exp)
	}
	return nil
}

func (d *denylist) insertSubject(entry object, exp int64) error {
	sub, err := entry.text("sub")
	if err != nil {
		return err
	}
	sv, err := entry.signed("sv")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	join(d.subjects, sub, cutOff[int64]{below: sv, exp: exp})
	return nil
}

func (d *denylist) insertKey(entry object, exp int64) error {
	kid, err := entry.text("kid")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if end, found := d.keys[kid]; !found || exp > end {
		d.keys[kid] = exp
	}
	return nil
}

func (d *denylist) insertLoss(entry object, exp int64) error {
	inc, err := entry.unsigned("inc")
	if err != nil || string(entry["all"]) != "true" {
		return errUnknownKind
	}
	part := everyPartition
	if entry.has("partition") {
		number, err := entry.unsigned("partition")
		if err != nil || number > people {
			return errUnknownKind
		}
		part = int(number)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	join(d.parts, part, cutOff[uint64]{below: inc, exp: exp})
	return nil
}

// snapshot is all revocations that matter, and where in the feed to go on.
type snapshot struct {
	cursor string
	list   *denylist
	// The issuer's clock, seconds since 1970.
	serverTime int64
	// Up to when nothing is missing, by the clock that the answer shows, milliseconds.
	serverTimeMs int64
}

var snapshotNames = names("cursor", "entries", "server_time", "server_time_ms")

func parseSnapshot(text []byte) (*snapshot, error) {
	object, err := parseObject(text, snapshotNames)
	if err != nil {
		return nil, err
	}
	read := reader{object: object}
	parsed := &snapshot{
		cursor: read.text("cursor"), list: newDenylist(),
		serverTime: read.signed("server_time"), serverTimeMs: read.signed("server_time_ms"),
	}
	if read.err != nil || !object.has("entries") {
		return nil, errJSON
	}
	err = elements(object["entries"], func(raw json.RawMessage) error {
		entry, err := members(raw, entryNames)
		if err != nil {
			return err
		}
		_, err = parsed.list.insert(entry)
		return err
	})
	return parsed, err
}

// never is a moment before all others.
const never = math.MinInt64
