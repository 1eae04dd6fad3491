-- Takes back every vouching for a partition that stands exactly as it was read, before it begins anew.
-- KEYS[1] state of the partition
-- ARGV[1] vouching as it was read ARGV[2] mark as it was read
-- ARGV[3] id of the entry there  ARGV[4] the vouching by which nothing is answered
-- Returns {"condemned"} | {"changed"}: it does not stand as it was read
-- Atomic: a look that was overtaken condemns nothing.
-- Model: CondemnedBeforeDrawn, StepsCompareAndSet

local stored = redis.call('HMGET', KEYS[1], 'vouching', 'mark', 'entry')
if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] or stored[3] ~= ARGV[3] then return {'changed'} end
redis.call('HSET', KEYS[1], 'vouching', ARGV[4])
return {'condemned'}
