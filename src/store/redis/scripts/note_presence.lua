-- Notes what a replica says of itself, in the place of what it said before.
-- KEYS[1] the replicas that are there
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] name of the replica
-- ARGV[3] what it says, which begins with its name and a blank; "" when it goes
-- ARGV[4] how long that holds, ms
-- Returns {"noted"} | {"implausible"}
-- Atomic: of concurrent calls for one replica the last one counts.

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local name = ARGV[2] .. ' '
for _, said in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(said, 1, #name) == name then redis.call('ZREM', KEYS[1], said) end
end
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[1], digits(now + tonumber(ARGV[4])), ARGV[3]) end
tidy(KEYS[1], now)
return {'noted'}
