-- Ends a session of a user who has more than may stand, and owes that to the journal.
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's cut-off
-- KEYS[5] state of the partition KEYS[6] revocation feed
-- KEYS[7] what is owed to the journal
-- KEYS[8] the user's evictions                                    (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] how many may stand     ARGV[5] how long a revocation is remembered, ms
-- ARGV[6] vouching               ARGV[7] id of an entry of the journal
-- ARGV[8] how many evictions are remembered
-- Returns {"evicted", until when its end matters, ms} | {"kept"} | {"unvouched"} | {"implausible"}
--       | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls for one user none ends one when no more than may are left.
-- Model: VouchingIsPassed, OwedUntilJournaled

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local incarnation = vouched(KEYS[5], ARGV[6])
if not incarnation then return {'unvouched'} end
prune(KEYS[2], now)
if redis.call('ZCARD', KEYS[2]) <= tonumber(ARGV[4]) then return {'kept'} end
local session, dead = live_session(KEYS[1], KEYS[2], KEYS[4], incarnation, ARGV[2], ARGV[3], now)
if not session then
  if dead[1] == 'corrupt' then return dead end
  return {'kept'}
end

local keys = {KEYS[1], KEYS[2], KEYS[3], KEYS[6], KEYS[7]}
local matters_until = end_and_owe(keys, ARGV[3], ARGV[2], session, now, tonumber(ARGV[5]), ARGV[7])
redis.call('ZADD', KEYS[8], matters_until, ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -1 - tonumber(ARGV[8]))
tidy(KEYS[8], now)
return {'evicted', matters_until}
