-- Ends every session of a user that is older than a security event, and what hangs on it (ASVS 5.0 7.4.3).
-- KEYS[1] the user's cut-off     KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's reset tokens
-- KEYS[5] revocation feed        KEYS[6] state of the partition
-- KEYS[7] applied entries        KEYS[8] what is owed to the journal (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] the first version that still counts, or "behind " and the greatest of the user's sessions: the
--         first that nothing here is of
-- ARGV[3] how long the revocation is remembered, ms
-- ARGV[4] user id
-- ARGV[5] vouching, or empty in a replay
-- ARGV[6] position in the journal, 0 for one that is owed to it, -1 in a replay
-- ARGV[7] id of the entry        ARGV[8] id of the entry before it
-- ARGV[9] until when it matters, ms
-- Returns {"ended", "counted" | "again" | "passed" | "diverged", version, session id ...} | {"unvouched"} | {"implausible"}: the caller removes the
-- sessions' hashes, which are dead already since their version is below the cut-off's; this script
-- cannot, it does not know their keys beforehand
-- Atomic: no session older than the event can be opened or refreshed after it. By their version they are all
-- dead then; of very many, a slice is denied and told by a call, and while it was full the caller goes on.
-- Model: VouchingIsPassed, CutOffNeverGoesDown, VersionsAreNew, AppliedBeforeTheMark, OwedUntilJournaled

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local denial = tonumber(ARGV[3])
if not vouched(KEYS[6], ARGV[5]) then return {'unvouched'} end
local position = tonumber(ARGV[6])
if was_owed(KEYS[8], position, ARGV[7]) then
  return {'ended', place(KEYS[6], KEYS[7], KEYS[8], position, ARGV[7], ARGV[8], ''), ARGV[2]}
end

-- How many sessions a call ends: RedisTokenStore goes on while there are as many.
local SLICE = 500

-- An entry that means nothing is replaced.
local known = cutoff_version(KEYS[1]) or -math.huge
prune(KEYS[2], now)
local members = redis.call('ZRANGE', KEYS[2], 0, SLICE - 1, 'WITHSCORES')
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local version = tonumber(ARGV[2])
if not version then
  version = math.max(known, 0, tonumber(string.match(ARGV[2], '^behind (%-?%d+)$')))
  for i = 1, #members, 2 do
    local opened_at_version = string.match(members[i], ':(%-?%d+)$')
    version = math.max(version, tonumber(opened_at_version) or 0)
  end
  version = math.max(version + 1, now)
end

-- Those of a later event stay, and what means nothing goes.
local resets = redis.call('HGETALL', KEYS[4])
for i = 1, #resets, 2 do
  local token = reset_token(resets[i + 1])
  if not token or tonumber(token.version) < version then redis.call('HDEL', KEYS[4], resets[i]) end
end

local ended, remembered = {}, math.max(denial, (tonumber(last[2]) or now) - now)
for i = 1, #members, 2 do
  local sid, opened_at_version = string.match(members[i], '^(.+):(%-?%d+)$')
  local remaining = tonumber(members[i + 1]) - now
  if sid and tonumber(opened_at_version) < version then
    redis.call('ZREM', KEYS[2], members[i])
    if remaining > 0 then
      table.insert(ended, sid)
      redis.call('ZADD', KEYS[3], 'GT', digits(now + denial), 's:' .. sid)
    end
  end
end
tidy(KEYS[2], now)
tidy(KEYS[3], now)

-- It outlives every session hash that it condemns, and never lives shorter than it was to.
local remaining = math.max(redis.call('PTTL', KEYS[1]), remembered + MARGIN_MS)
if version > known then redis.call('SET', KEYS[1], digits(version)) end
expire_in(KEYS[1], remaining)
if version > known or #ended > 0 then
  announce(KEYS[5], denial, {'sub', ARGV[4], 'sv', digits(version), 'sids', table.concat(ended, ','),
    'until', digits(now + denial)})
end
local words = 'user ' .. ARGV[4] .. ' ' .. digits(version) .. ' ' .. ARGV[9]
local placed = place(KEYS[6], KEYS[7], KEYS[8], position, ARGV[7], ARGV[8], words)
-- Not unpack(): Lua's stack holds some thousands of values only.
table.insert(ended, 1, digits(version))
table.insert(ended, 1, placed)
table.insert(ended, 1, 'ended')
return ended
