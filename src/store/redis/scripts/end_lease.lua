-- Ends the lease of a replica that has made the store whole, so that nobody waits for its end.
-- KEYS[1] lease
-- ARGV[1] holder
-- Returns {"free"} | {"taken"}: by another
-- Atomic: nobody ends the lease of another.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'taken'} end
redis.call('DEL', KEYS[1])
return {'free'}
