-- Takes or keeps the lease under which one replica makes the store whole.
-- KEYS[1] lease
-- ARGV[1] holder                 ARGV[2] term, ms
-- Returns {"held"} | {"taken"}: by another
-- Atomic: of concurrent calls one gets it.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'taken'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'held'}
