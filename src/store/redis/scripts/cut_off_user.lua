-- Ends every session of a user that is older than a security event, and what hangs on it (ASVS 5.0 7.4.3).
-- KEYS[1] the user's cut-off     KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's reset token
-- KEYS[5] revocation feed                                         (same slot)
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] the first version that still counts
-- ARGV[3] how long the revocation is remembered, ms
-- ARGV[4] user id
-- Returns {"ended", session id ...}: the caller removes their hashes, which are dead already since
-- their version is below the cut-off's; this script cannot, it does not know their keys beforehand
-- Atomic: no session older than the event can be opened or refreshed after it.

local now, version, denial = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('DEL', KEYS[4])

-- An entry that means nothing is replaced.
local known = cutoff_version(KEYS[1]) or -math.huge
if version > known then
  redis.call('HSET', KEYS[1], 'version', ARGV[2], 'not_before', ARGV[1])
end

local ended, remembered = {}, denial
local members = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #members, 2 do
  local sid, opened_at_version = string.match(members[i], '^(.+):(%-?%d+)$')
  local remaining = tonumber(members[i + 1]) - now
  if sid and tonumber(opened_at_version) < version then
    redis.call('ZREM', KEYS[2], members[i])
    if remaining > 0 then
      table.insert(ended, sid)
      remembered = math.max(remembered, remaining)
      redis.call('ZADD', KEYS[3], 'GT', digits(now + denial), 's:' .. sid)
    end
  end
end
tidy(KEYS[2], now)
tidy(KEYS[3], now)

-- It outlives every session hash that it condemns, and never lives shorter than it was to.
if redis.call('PTTL', KEYS[1]) < remembered + MARGIN_MS then
  expire_in(KEYS[1], remembered + MARGIN_MS)
end
if version > known or #ended > 0 then
  announce(KEYS[5], now, denial, {'sub', ARGV[4], 'nbf', ARGV[1], 'sids', table.concat(ended, ','),
    'until', digits(now + denial)})
end
-- Not unpack(): Lua's stack holds some thousands of values only.
table.insert(ended, 1, 'ended')
return ended
