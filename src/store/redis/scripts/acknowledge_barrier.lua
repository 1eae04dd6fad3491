-- Notes that a mirror has taken in all that was revoked before a barrier.
-- KEYS[1] register of mirrors    KEYS[2] acknowledgements         (same slot)
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] the mirror's name
-- ARGV[3] the barrier's epoch    ARGV[4] its number
-- ARGV[5] how long an acknowledgement is kept, ms
-- Returns {"noted"} | {"stranger"}, nothing done: nobody waits for this mirror
-- Atomic: an acknowledgement never takes back a later one, and none is taken from who was removed.

local member = 'm:' .. ARGV[2]
local stored = redis.call('HMGET', KEYS[1], 'epoch', member)
if stored[1] ~= ARGV[3] or not stored[2] then return {'stranger'} end
local acknowledged, staleness = string.match(stored[2], '^(%d+):(%d+)$')
if not acknowledged then return {'stranger'} end
if tonumber(ARGV[4]) > tonumber(acknowledged) then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', '0')
  redis.call('HSET', KEYS[1], member, ARGV[4] .. ':' .. staleness)
  announce(KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[5]),
    {'epoch', ARGV[3], 'mirror', ARGV[2], 'number', ARGV[4]})
end
return {'noted'}
