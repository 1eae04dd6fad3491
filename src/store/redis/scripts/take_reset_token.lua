-- Consumes a reset token if it is the newest of its place and still good, and voids all others of the user.
-- KEYS[1] the user's reset tokens KEYS[2] state of the partition  (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] hash of the token, hex ARGV[3] vouching: a token of another one is void
-- Returns {"taken", security version, deadline, place} | {"unknown"} | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls exactly one gets "taken", be it with one token or with several of a user.
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[2], ARGV[3]) then return {'unvouched'} end
local kept = redis.call('HGETALL', KEYS[1])
local unreadable
for i = 1, #kept, 2 do
  local token = reset_token(kept[i + 1])
  if not token then unreadable = kept[i] end
  if is_live_reset(token, now, ARGV[3]) and token.hash == ARGV[2] then
    redis.call('DEL', KEYS[1])
    return {'taken', token.version, token.deadline, kept[i]}
  end
end
if unreadable then return {'corrupt', 'reset', unreadable} end
return {'unknown'}
