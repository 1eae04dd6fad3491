-- Consumes a reset token if it is the user's newest and still good.
-- KEYS[1] the user's reset token KEYS[2] state of the partition   (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] hash of the token, hex ARGV[3] vouching: a token of another one is void
-- Returns {"taken", security version, deadline} | {"unknown"} | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls exactly one gets "taken".
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[2], ARGV[3]) then return {'unvouched'} end
local stored = redis.call('HMGET', KEYS[1], 'hash', 'version', 'deadline', 'vouching')
if not stored[1] and not stored[2] and not stored[3] then return {'unknown'} end
local deadline = integer(stored[3])
if not (stored[1] and integer(stored[2]) and deadline) then return {'corrupt', 'reset', 'hash, version or deadline'} end
if stored[4] ~= ARGV[3] or stored[1] ~= ARGV[2] or now >= deadline then return {'unknown'} end
redis.call('DEL', KEYS[1])
return {'taken', stored[2], stored[3]}
