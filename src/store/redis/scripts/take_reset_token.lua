-- Consumes a reset token if it is the user's newest and still good.
-- KEYS[1] the user's reset token
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] hash of the token, hex
-- Returns {"taken", security version, deadline} | {"unknown"} | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls exactly one gets "taken".

local stored = redis.call('HMGET', KEYS[1], 'hash', 'version', 'deadline')
if not stored[1] and not stored[2] and not stored[3] then return {'unknown'} end
local deadline = integer(stored[3])
if not (stored[1] and integer(stored[2]) and deadline) then return {'corrupt', 'reset', 'hash, version or deadline'} end
if stored[1] ~= ARGV[2] or tonumber(ARGV[1]) >= deadline then return {'unknown'} end
redis.call('DEL', KEYS[1])
return {'taken', stored[2], stored[3]}
