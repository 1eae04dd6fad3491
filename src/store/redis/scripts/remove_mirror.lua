-- Removes a mirror that has been silent for so long that it uses its copy no more.
-- KEYS[1] register of mirrors
-- ARGV[1] the mirror's name
-- ARGV[2] what it had acknowledged, and its max_staleness in ms, as "number:ms"
-- Returns {"removed"} | {"kept"} if it has spoken meanwhile
-- Atomic: whoever acknowledges after this learns that it was removed.
-- Model: OnlyMembersAnswer, RevocationWaitsForMirrors

local member = 'm:' .. ARGV[1]
if redis.call('HGET', KEYS[1], member) ~= ARGV[2] then return {'kept'} end
redis.call('HDEL', KEYS[1], member)
return {'removed'}
