-- Notes that a mirror has taken in all that was revoked before a barrier.
-- KEYS[1] register of mirrors    KEYS[2] acknowledgements         (same slot)
-- ARGV[1] the mirror's name
-- ARGV[2] the barrier's epoch    ARGV[3] its number
-- ARGV[4] how long an acknowledgement is kept, ms
-- Returns {"noted"} | {"stranger"}, nothing done: nobody waits for this mirror
-- Atomic: an acknowledgement never takes back a later one, and none is taken from who was removed.
-- Model: OnlyMembersAnswer, RevocationWaitsForMirrors

local member = 'm:' .. ARGV[1]
local stored = redis.call('HMGET', KEYS[1], 'epoch', member)
if stored[1] ~= ARGV[2] or not stored[2] then return {'stranger'} end
local acknowledged, staleness = string.match(stored[2], '^(%d+):(%d+)$')
if not acknowledged then return {'stranger'} end
if tonumber(ARGV[3]) > tonumber(acknowledged) then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', '0')
  redis.call('HSET', KEYS[1], member, ARGV[3] .. ':' .. staleness)
  announce(KEYS[2], tonumber(ARGV[4]),
    {'epoch', ARGV[2], 'mirror', ARGV[1], 'number', ARGV[3]})
end
return {'noted'}
