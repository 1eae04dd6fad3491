-- Vouches for a partition that stands as it was read, with its mark there or further on.
-- KEYS[1] state of the partition
-- ARGV[1] vouching as it was read ARGV[2] mark as it was read
-- ARGV[3] the new vouching       ARGV[4] seal: the server that it is vouched for on
-- Returns {"sealed"} | {"changed"}: it does not stand as it was read
-- Atomic: who was paused meanwhile vouches for nothing.
-- Model: ReplayBeforeVouching, SealIsTheServer, StepsCompareAndSet

local stored = redis.call('HMGET', KEYS[1], 'vouching', 'mark')
local mark = integer(stored[2])
if stored[1] ~= ARGV[1] or not mark or mark < tonumber(ARGV[2]) then return {'changed'} end
redis.call('HSET', KEYS[1], 'vouching', ARGV[3], 'seal', ARGV[4])
return {'sealed'}
