-- Enters a replica among the mirrors, or keeps it there.
-- KEYS[1] register of mirrors
-- ARGV[1] the mirror's name      ARGV[2] its max_staleness, ms
-- ARGV[3] an epoch, for a register that is new
-- ARGV[4] how long the register is kept, ms
-- Returns {"joined"} if it was not among them | {"member"} if it was
-- Atomic: a mirror that joins has nothing to acknowledge of what was raised before.
-- Model: OnlyMembersAnswer

local member = 'm:' .. ARGV[1]
expire_in(KEYS[1], tonumber(ARGV[4]))
if redis.call('HEXISTS', KEYS[1], member) == 1 then return {'member'} end
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[3])
redis.call('HSETNX', KEYS[1], 'barriers', '0')
local raised = redis.call('HGET', KEYS[1], 'barriers')
redis.call('HSET', KEYS[1], member, raised .. ':' .. ARGV[2])
expire_in(KEYS[1], tonumber(ARGV[4]))
return {'joined'}
