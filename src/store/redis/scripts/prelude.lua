-- What the scripts share; the loader puts it in front of each. Functions only: it names no key and
-- no argument of its own, callers hand over the ones that they declared.
-- Removals come before additions wherever something is revoked: a Redis that is full refuses a
-- script's first growing write, so a revocation goes through and a login fails as a whole.

-- Redis counts a TTL down by its own clock: what must not vanish early stays a minute longer.
local MARGIN_MS = 60000
local GENERATION_MAX = 4294967295

-- A whole number, or nil for anything else.
local function integer(text)
  if type(text) ~= 'string' or not string.find(text, '^%-?%d+$') then return nil end
  return tonumber(text)
end

-- All digits: tostring() would round a time to 14 of them.
local function digits(number)
  return string.format('%.0f', number)
end

-- Collects garbage only, deadlines are compared with our `now`: hence never less than a second.
local function expire_in(key, ms)
  redis.call('PEXPIRE', key, digits(math.max(1000, ms)))
end

-- Drops the members of a sorted set that have ended.
local function prune(key, now)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now))
end

-- The same, and lets the set live as long as its last member.
local function tidy(key, now)
  prune(key, now)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then expire_in(key, tonumber(last[2]) - now) end
end

-- The first version that still counts; nil when the entry means nothing.
local function cutoff_version(cutoff)
  local stored = redis.call('HMGET', cutoff, 'version', 'not_before')
  if not stored[1] and not stored[2] then return -math.huge end
  return integer(stored[1])
end

-- The fields of a session, as keys.rs explains them; from `v` to `a` they are numbers.
local FIELDS = {'u', 'e', 'r', 'v', 'g', 'c', 't', 'n', 'i', 'a', 'p', 'w', 'k'}
local FIRST_NUMBER, LAST_NUMBER = 4, 10

local function session_fields(session)
  return redis.call('HMGET', session, unpack(FIELDS))
end

local function answer(verdict, session)
  return {verdict, unpack(session_fields(session))}
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

-- The session if it is the user's and live; else nil and the answer to give. One that has ended by
-- itself is left to its TTL, so that it is expired and not unknown as long as it is there.
local function live_session(session, sessions, cutoff, sid, user, now)
  local stored = session_fields(session)
  local present, values = false, {}
  for field = 1, #FIELDS do present = present or stored[field] end
  if not present then return nil, {'unknown'} end
  if stored[1] and stored[1] ~= user then return nil, {'foreign'} end
  for position, name in ipairs(FIELDS) do
    local value = stored[position]
    if position >= FIRST_NUMBER and position <= LAST_NUMBER then value = integer(value) end
    if not value then return nil, {'corrupt', 'session', name} end
    values[name] = value
  end
  local first_version = cutoff_version(cutoff)
  if not first_version then return nil, {'corrupt', 'cutoff', 'version'} end
  if values.v < first_version then
    forget(session, sessions, sid, stored[FIRST_NUMBER], now)
    return nil, {'unknown'}
  end
  if now >= math.min(values.i, values.a) then
    return nil, {'expired', values.i < values.a and 'idle' or 'absolute'}
  end
  return {
    version = stored[FIRST_NUMBER],
    generation = values.g,
    rotated_at = values.t,
    absolute_deadline = values.a,
  }
end

-- domain::session::Presented::judge, word for word.
local function judge(presented, current, rotated_at, now, grace)
  if presented == current then return 'current' end
  if presented > current then return 'ahead' end
  if presented + 1 == current and now < rotated_at + grace then return 'previous' end
  return 'superseded'
end

-- Adds to the denylist; never shortens what stands there.
local function deny(denied, member, until_ms, now)
  prune(denied, now)
  redis.call('ZADD', denied, 'GT', digits(until_ms), member)
  tidy(denied, now)
end

-- Appends to the revocation feed. Its ids carry our `now`, the one clock of the decision; when that
-- lies behind the last id (another replica's clock is ahead), the next id of the last millisecond
-- is taken, since ids must grow. Entries older than one denial are of no use to any reader.
local function announce(revocations, now, denial, fields)
  local ms, sequence = now, 1
  local last = redis.call('XREVRANGE', revocations, '+', '-', 'COUNT', 1)[1]
  if last then
    local last_ms, last_sequence = string.match(last[1], '^(%d+)%-(%d+)$')
    if tonumber(last_ms) >= now then
      ms, sequence = tonumber(last_ms), tonumber(last_sequence) + 1
    end
  end
  local oldest = digits(math.max(0, now - denial - MARGIN_MS))
  local id = digits(ms) .. '-' .. digits(sequence)
  redis.call('XADD', revocations, 'MINID', '~', oldest, id, unpack(fields))
  expire_in(revocations, denial + MARGIN_MS)
end

-- Denies a session's access tokens and says so in the feed.
local function deny_session(denied, revocations, user, sid, now, denial)
  deny(denied, 's:' .. sid, now + denial, now)
  announce(revocations, now, denial, {'sub', user, 'sid', sid, 'until', digits(now + denial)})
end

-- Whoever gets a live session mints an access token for it. A full Redis refuses this write; the
-- note serves a list for administrators, and no token is refused for the lack of it.
local function note_access_token(session, now)
  redis.pcall('HSET', session, 'n', digits(now))
end

-- The partition has kept its data at least since now. (Not SET NX: a full Redis would refuse it
-- even where nothing is to be written.)
local function vouch(incarnation, now)
  if redis.call('EXISTS', incarnation) == 0 then redis.call('SET', incarnation, digits(now)) end
end
