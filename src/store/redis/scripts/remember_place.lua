-- Remembers a place that an account logged in from, and of all its places the newest few.
-- KEYS[1] the account's places
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] mark of the place      ARGV[3] how long it is remembered, ms
-- ARGV[4] how many are remembered at most
-- Returns {"remembered"} | {"implausible"}
-- Atomic: of concurrent calls each is remembered, unless there are more than that many.

local now = moment(ARGV[1])
if not now then return {'implausible'} end
prune(KEYS[1], now)
redis.call('ZADD', KEYS[1], 'GT', digits(now + tonumber(ARGV[3])), ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[4]))
tidy(KEYS[1], now)
return {'remembered'}
