-- What the scripts share; the loader puts it in front of each. Functions, and what these remember during one
-- call: it names no key and no argument of its own, callers hand over the ones that they declared.
-- Removals come before additions wherever something is revoked: a Redis that is full refuses a
-- script's first growing write, so a revocation goes through and a login fails as a whole.

-- What must not vanish early stays a minute longer than by its deadline, which alone decides.
local MARGIN_MS = 60000
local GENERATION_MAX = 4294967295

-- A whole number, or nil for anything else.
local function integer(text)
  if type(text) ~= 'string' or not string.find(text, '^%-?%d+$') then return nil end
  return tonumber(text)
end

-- The moment by which everything here is decided: this server's own, unless a test clock is laid over
-- it. nil where that is later than it can be: somebody has set the clock, and what ends by it may have
-- ended too early. Given as "latest:test clock's", in ms since the epoch, either of them empty.
-- Model: StoresClockDecides
local function moment(given)
  local latest, laid_over = string.match(given, '^(%d*):(%d*)$')
  local now = tonumber(laid_over)
  if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  if latest ~= '' and now > tonumber(latest) then return nil end
  return now
end

-- All digits: tostring() would round a time to 14 of them.
local function digits(number)
  return string.format('%.0f', number)
end

-- Collects garbage only, it is deadlines that are compared: hence never less than a second.
local function expire_in(key, ms)
  redis.call('PEXPIRE', key, digits(math.max(1000, ms)))
end

-- Drops the members of a sorted set that have ended.
local function prune(key, now)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now))
end

-- Lets a sorted set live as long as its last member; answers when that ends.
local function outlive_members(key, now)
  local last = tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2])
  if last then expire_in(key, last - now) end
  return last
end

-- Both.
local function tidy(key, now)
  prune(key, now)
  outlive_members(key, now)
end

-- What stands in a list from a position on, one with each call, and nil when that was all.
local function in_turn(list, position)
  position = position - 1
  return function()
    position = position + 1
    return list[position]
  end
end

-- The first version that still counts; nil when the entry means nothing.
local function cutoff_version(cutoff)
  local stored = redis.call('GET', cutoff)
  if not stored then return -math.huge end
  return integer(stored)
end

-- A server that was demoted goes on answering over open connections, and what the new master has taken since
-- comes to it late: it is no judge. It refuses this, which changes nothing, since the field is there; and that is
-- the script's answer. Other refusals are no reason: one without its replicas, or with a full disk, has what there
-- is. A full memory refuses this as well, and goes on counting whatever comes next as the first growing write.
-- Model: OnlyAMasterJudges
local function only_a_master(state)
  local refused = redis.pcall('HSETNX', state, 'vouching', '')
  if type(refused) == 'table' and string.find(refused.err or '', 'READONLY', 1, true) then
    redis.call('HSETNX', state, 'vouching', '')
  end
end

-- Whether the partition's data is what the caller's process has found whole: data that was lost,
-- restored, or vouched for by somebody else has another vouching, or none. Who makes it whole gives no
-- vouching, and takes what is there. Answers the incarnation.
-- Model: VouchingIsPassed
local function vouched(state, vouching)
  local stored = redis.call('HMGET', state, 'vouching', 'incarnation')
  if vouching ~= '' and stored[1] ~= vouching then return false end
  if stored[1] then only_a_master(state) end
  return stored[2]
end

-- A reset token as it is kept, "<hash>:<version>:<deadline>:<vouching>"; nil for anything else.
local function reset_token(text)
  local hash, version, deadline, vouching = string.match(text, '^(%x+):(%-?%d+):(%-?%d+):(%-?%d+)$')
  if not hash then return nil end
  return {hash = hash, version = version, deadline = deadline, vouching = vouching}
end

-- Whether a reset token is one that counts: not ended, and vouched for as its partition is now.
local function is_live_reset(token, now, vouching)
  return token and token.vouching == vouching and now < tonumber(token.deadline)
end

-- Keeps a reset token as that of its place; the key lives as long as the last of them.
local function keep_reset(key, place, hash, version, deadline, vouching, now)
  local remaining = math.max(redis.call('PTTL', key), deadline - now)
  redis.call('HSET', key, place, hash .. ':' .. version .. ':' .. digits(deadline) .. ':' .. vouching)
  expire_in(key, remaining)
end

-- What of a session is judged, as keys.rs explains it; all but `u` are numbers.
local FIELDS = {'u', 'v', 'g', 'c', 't', 'n', 'i', 'a', 'b'}
-- What each of the numbers has at most of digits, so that whoever reads it gets it whole.
local DIGITS_MAX = 16

-- All fields of a session by their names, and how many; nil where there is none.
local function read_session(session)
  local words = redis.call('HGETALL', session)
  if #words == 0 then return nil end
  local stored = {}
  for i = 1, #words, 2 do stored[words[i]] = words[i + 1] end
  return stored, #words / 2
end

-- Notes in what was read of a session what was written into it.
local function note(stored, words)
  for i = 1, #words, 2 do stored[words[i]] = words[i + 1] end
end

-- By how many ms a session was ahead of the clock, or nothing.
local function ahead_of(session)
  return session.ahead > 0 and digits(session.ahead) or ''
end

-- A verdict, by how many ms the session was ahead of the clock, or nothing, and names and values of all its fields.
local function answer(verdict, session)
  local words = {verdict, ahead_of(session)}
  for name, value in pairs(session.stored) do
    words[#words + 1] = name
    words[#words + 1] = value
  end
  return words
end

-- By what it is known that what a session carries is as somebody wrote it who can read that format.
local function mark_of(format, carried)
  return format .. string.sub(redis.sha1hex(carried), 1, 6)
end

-- What a session carries, and in how many pieces.
local function carried_by(stored)
  local pieces = {}
  while stored[tostring(#pieces)] do pieces[#pieces + 1] = stored[tostring(#pieces)] end
  return table.concat(pieces), #pieces
end

-- Whether a session can be read by whoever reads that format, without a look at it: what it carries is as it was
-- written, its numbers are such, and there is nothing else in it.
local function is_as_written(session, format)
  local stored = session.stored
  local carried, pieces = carried_by(stored)
  if stored.d ~= mark_of(format, carried) or session.count ~= #FIELDS + pieces + 1 then return false end
  for position = 2, #FIELDS do
    if #stored[FIELDS[position]] > DIGITS_MAX then return false end
  end
  return string.find(stored.g, '^%d+$') and session.generation <= GENERATION_MAX
end

-- Answers why a token of the session is not to be redeemed yet, if so: nobody has seen whether the session can be
-- read. Whoever has seen it says so.
local function unread(session, seen, format)
  if seen == 'unreadable' then return {'unreadable'} end
  if seen == 'unseen' and not is_as_written(session, format) then return {'unseen', ahead_of(session)} end
end

-- A session of builds before has no mark: it gets one of whoever has just read it.
local function mark_if_seen(key, session, seen, format)
  if seen ~= 'readable' or session.stored.d then return end
  local carried, pieces = carried_by(session.stored)
  if pieces > 0 then redis.call('HSET', key, 'd', mark_of(format, carried)) end
end

local function set_member(sid, version)
  return sid .. ':' .. version
end

-- Removes a session from everywhere but the denylist.
local function forget(session, sessions, sid, version, now)
  redis.call('DEL', session)
  redis.call('ZREM', sessions, set_member(sid, version))
  tidy(sessions, now)
end

-- What was noted before the clock was put back lies ahead of it, which cannot be true: it counts from
-- now on, and what hangs on it keeps its length. A full Redis refuses that write, and the next call makes
-- it.
-- Model: StoresClockDecides
local function bring_back(session, sessions, member, stored, values, now)
  values.ahead = math.max(values.t, values.c) - now
  if values.ahead <= 0 then return end
  if values.t > now then values.i, values.t = now + (values.i - values.t), now end
  if values.c > now then values.a, values.c = now + (values.a - values.c), now end
  values.i = math.min(values.i, values.a)
  local words = {'c', digits(values.c), 't', digits(values.t), 'i', digits(values.i), 'a', digits(values.a)}
  local written = redis.pcall('HSET', session, unpack(words))
  if type(written) == 'number' then note(stored, words) end
  redis.pcall('ZADD', sessions, digits(values.i), member)
end

-- The session if it is the user's, of this incarnation and live; else nil and the answer to give. One
-- that has ended by itself is left to its TTL, so that it is expired and not unknown as long as it is
-- there.
-- Model: TokensOfTheirIncarnation, VersionsNotTimes
local function live_session(session, sessions, cutoff, incarnation, sid, user, now)
  local stored, count = read_session(session)
  if not stored then return nil, {'unknown'} end
  if stored.u and stored.u ~= user then return nil, {'foreign'} end
  local values = {}
  for position, name in ipairs(FIELDS) do
    local value = stored[name]
    if position > 1 then value = integer(value) end
    if not value then return nil, {'corrupt', 'session', name} end
    values[name] = value
  end
  -- What it carries is not looked into: that it is there is told by its first field, or in sessions of builds before
  -- by `e`.
  if not (stored['0'] or stored.e) then return nil, {'corrupt', 'session', '0'} end
  local first_version = cutoff_version(cutoff)
  if not first_version then return nil, {'corrupt', 'cutoff', 'version'} end
  if values.v < first_version or stored.b ~= incarnation then
    forget(session, sessions, sid, stored.v, now)
    return nil, {'unknown'}
  end
  if now >= math.min(values.i, values.a) then
    return nil, {'expired', values.i < values.a and 'idle' or 'absolute'}
  end
  bring_back(session, sessions, set_member(sid, stored.v), stored, values, now)
  return {
    stored = stored,
    count = count,
    version = stored.v,
    generation = values.g,
    rotated_at = values.t,
    absolute_deadline = values.a,
    end_of_itself = math.min(values.i, values.a),
    ahead = values.ahead,
  }
end

-- What is answered for a session that is not live: one that is gone may be known to be evicted.
local function answer_for_dead(dead, evictions, sid, now)
  if dead[1] == 'unknown' then
    local remembered_until = redis.call('ZSCORE', evictions, sid)
    if remembered_until and now < tonumber(remembered_until) then return {'evicted'} end
  end
  return dead
end

-- domain::session::Presented::judge, word for word.
-- Model: GraceClosesOnUse
local function judge(presented, current, rotated_at, now, grace)
  if presented == current then return 'current' end
  if presented > current then return 'ahead' end
  if presented + 1 == current and now < rotated_at + grace then return 'previous' end
  return 'superseded'
end

-- The denylists that this call has tidied, and until when each lives now: one that many entries are added
-- to is tidied once.
local tidied_until = {}

-- Adds to the denylist; never shortens what stands there.
local function deny(denied, member, until_ms, now)
  local is_tidy = until_ms <= (tidied_until[denied] or 0)
  if not is_tidy then prune(denied, now) end
  redis.call('ZADD', denied, 'GT', digits(until_ms), member)
  if not is_tidy then tidied_until[denied] = outlive_members(denied, now) end
end

-- The feeds that this call has appended to: each is trimmed once, and lives long enough then.
local trimmed = {}

-- Appends to the revocation feed. Its ids are the server's own: they grow, whatever its clock does.
-- Entries older than one denial, by the clock that made their ids, are of no use to any reader.
local function announce(revocations, denial, fields)
  if trimmed[revocations] then
    redis.call('XADD', revocations, '*', unpack(fields))
    return
  end
  trimmed[revocations] = true
  local oldest = digits(math.max(0, redis.call('TIME')[1] * 1000 - denial - MARGIN_MS))
  redis.call('XADD', revocations, 'MINID', '~', oldest, '*', unpack(fields))
  expire_in(revocations, denial + MARGIN_MS)
end

-- Says in the feed that a client was deleted: in the shape of a user's cut-off, below any version that there is.
local function announce_client(revocations, client, until_ms, denial)
  announce(revocations, denial, {'sub', client, 'sv', '1', 'sids', '', 'until', until_ms})
end

-- Denies a session's access tokens and says so in the feed.
local function deny_session(denied, revocations, user, sid, now, denial)
  deny(denied, 's:' .. sid, now + denial, now)
  announce(revocations, denial, {'sub', user, 'sid', sid, 'until', digits(now + denial)})
end

-- Ends a session and denies its access tokens; answers "live", "gone", or "foreign" where it is another user's,
-- and lives on. The keys are the session, the user's sessions, denylist and cut-off, and the feed.
-- Model: AppliedBeforeTheMark
local function revoke_session(keys, incarnation, sid, user, now, denial)
  local session, dead = live_session(keys[1], keys[2], keys[4], incarnation, sid, user, now)
  if session then
    forget(keys[1], keys[2], sid, session.version, now)
  elseif dead[1] == 'foreign' then
    return 'foreign'
  else
    -- Also when its entry means nothing: what cannot be read must not live on.
    redis.call('DEL', keys[1])
  end
  deny_session(keys[3], keys[5], user, sid, now, denial)
  return session and 'live' or 'gone'
end

-- Denies one access token and says so in the feed.
-- Model: AppliedBeforeTheMark
local function revoke_access_token(denied, revocations, user, jti, now, denial)
  deny(denied, 'j:' .. jti, now + denial, now)
  announce(revocations, denial, {'sub', user, 'jti', jti, 'until', digits(now + denial)})
end

-- Whoever gets a live session mints an access token for it. A full Redis refuses this write; the
-- note serves a list for administrators, and no token is refused for the lack of it.
local function note_access_token(key, session, now)
  local words = {'n', digits(now)}
  if type(redis.pcall('HSET', key, unpack(words))) == 'number' then note(session.stored, words) end
end

-- Moves the mark over what was carried out without a gap behind it, and follows on what stands there.
-- Model: MarkMovesOnlyOverApplied, MarkFollowsTheChain
local function pass_over_applied(state, applied, mark, entry)
  while true do
    local next = redis.call('ZRANGEBYSCORE', applied, digits(mark + 1), digits(mark + 1))[1]
    local id, previous = string.match(next or '', '^(%d+):(%d+)$')
    if previous ~= entry or not id then break end
    mark, entry = mark + 1, id
    redis.call('HSET', state, 'mark', digits(mark), 'entry', entry)
  end
  redis.call('ZREMRANGEBYSCORE', applied, '-inf', digits(mark))
end

-- Remembers what was carried out ahead of a gap: the entry at a position, and the one before it.
local function note_applied(applied, position, entry, previous)
  redis.call('ZREMRANGEBYSCORE', applied, digits(position), digits(position))
  redis.call('ZADD', applied, digits(position), entry .. ':' .. previous)
end

-- Whether the entry at a position was carried out already, ahead of a gap or by a replay that has not moved the
-- mark yet.
local function is_applied(applied, position, entry, previous)
  return position > 0 and redis.call('ZSCORE', applied, entry .. ':' .. previous) ~= false
end

-- Notes that the entry of the journal at a position was carried out. The mark moves over it once all
-- before it were; what it was to the mark is the answer.
-- Model: MarkMovesOnlyOverApplied, MarkFollowsTheChain
local function pass(state, applied, position, entry, previous)
  local stored = redis.call('HMGET', state, 'mark', 'entry')
  local mark = integer(stored[1])
  if position == mark and entry == stored[2] then return 'again' end
  if position <= mark then return 'passed' end
  if position == mark + 1 then
    if previous ~= stored[2] then return 'diverged' end
    redis.call('HSET', state, 'mark', digits(position), 'entry', entry)
    pass_over_applied(state, applied, position, entry)
  else
    note_applied(applied, position, entry, previous)
  end
  return 'counted'
end

-- Whether what now has its position was carried out already, and only owed to the journal.
local function was_owed(owed, position, entry)
  return position > 0 and redis.call('HEXISTS', owed, entry) == 1
end

-- What follows from where a revocation stands in the journal: `position` there, or 0 for one that is
-- owed to it, as `words` have it. Below that nothing does: who replays moves the mark when all is done.
-- Model: OwedUntilJournaled
local function place(state, applied, owed, position, entry, previous, words)
  if position < 0 then return 'counted' end
  if position == 0 then
    redis.call('HSET', owed, entry, words)
    return 'counted'
  end
  redis.call('HDEL', owed, entry)
  return pass(state, applied, position, entry, previous)
end

-- Ends a session, and owes that to the journal in the same step; answers until when it matters. The keys
-- are the session, the user's sessions and denylist, the feed and what is owed.
-- Model: ReuseEndsTheSession, OwedUntilJournaled
local function end_and_owe(keys, user, sid, session, now, denial, entry)
  local matters_until = digits(math.max(session.end_of_itself, now + denial))
  forget(keys[1], keys[2], sid, session.version, now)
  deny_session(keys[3], keys[4], user, sid, now, denial)
  redis.call('HSET', keys[5], entry, 'session ' .. user .. ' ' .. sid .. ' ' .. matters_until)
  return matters_until
end
