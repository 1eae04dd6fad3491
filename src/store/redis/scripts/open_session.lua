-- Writes a new session, unless a security event has ended the version its credentials were checked at.
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's cut-off     KEYS[4] state of the partition   (same slot)
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] e-mail address         ARGV[5] role
-- ARGV[6] security version       ARGV[7] generation
-- ARGV[8] created at, ms         ARGV[9] rotated at, ms
-- ARGV[10] access token at, ms   ARGV[11] idle deadline, ms
-- ARGV[12] absolute deadline, ms ARGV[13] client's address, or empty
-- ARGV[14] user agent, or empty  ARGV[15] client
-- ARGV[16] vouching
-- Returns {"opened", incarnation} | {"superseded", first version} | {"older"}: sessions of an earlier version stand
-- | {"unvouched"} | {"corrupt", kind of key, field}
-- Atomic: a cut-off that comes first refuses the session, one that comes later ends it.
-- Model: VouchingIsPassed, NoSessionBelowTheCutOff

local now = tonumber(ARGV[1])
local incarnation = vouched(KEYS[4], ARGV[16])
if not incarnation then return {'unvouched'} end
local first_version = cutoff_version(KEYS[3])
if not first_version then return {'corrupt', 'cutoff', 'version'} end
if tonumber(ARGV[6]) < first_version then return {'superseded', digits(first_version)} end
-- They are an earlier holder's of that number, or a security event is about to end them.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. digits(now), '+inf')) do
  local version = string.match(member, ':(%-?%d+)$')
  if version and tonumber(version) < tonumber(ARGV[6]) then return {'older'} end
end

redis.call('HSET', KEYS[1], 'u', ARGV[3], 'e', ARGV[4], 'r', ARGV[5], 'v', ARGV[6], 'g', ARGV[7],
  'c', ARGV[8], 't', ARGV[9], 'n', ARGV[10], 'i', ARGV[11], 'a', ARGV[12], 'b', incarnation,
  'p', ARGV[13], 'w', ARGV[14], 'k', ARGV[15])
expire_in(KEYS[1], tonumber(ARGV[11]) - now)
redis.call('ZADD', KEYS[2], ARGV[11], set_member(ARGV[2], ARGV[6]))
tidy(KEYS[2], now)
return {'opened', incarnation}
