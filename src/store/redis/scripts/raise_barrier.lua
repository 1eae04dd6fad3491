-- Raises a barrier for the mirrors: whoever has read it has read what was revoked before.
-- KEYS[1] register of mirrors    KEYS[2] barriers
-- KEYS[3] acknowledgements                                        (same slot)
-- ARGV[1] how long a barrier is kept, ms
-- ARGV[2] what to add where there is no mirror, to wake those who read, or ""
-- Returns {"alone"} if there is no mirror | {"raised", epoch, number, the last acknowledgement's id,
-- then for each mirror its name, what it acknowledged last and its max_staleness in ms}
-- Atomic: a mirror that is not named here joins later, and reads what was revoked before.
-- Model: RevocationWaitsForMirrors

local register, mirrors = {}, {}
local stored = redis.call('HGETALL', KEYS[1])
for field = 1, #stored, 2 do
  local name = string.match(stored[field], '^m:(.*)$')
  if name then
    local acknowledged, staleness = string.match(stored[field + 1], '^(%d+):(%d+)$')
    for _, word in ipairs({name, acknowledged or '', staleness or ''}) do
      mirrors[#mirrors + 1] = word
    end
  else
    register[stored[field]] = stored[field + 1]
  end
end
if #mirrors == 0 then
  if ARGV[2] ~= '' then
    redis.call('XTRIM', KEYS[2], 'MINID', '~', '0')
    announce(KEYS[2], tonumber(ARGV[1]), {ARGV[2], ''})
  end
  return {'alone'}
end
-- A removal comes first: a Redis that is full lets the rest pass then.
redis.call('XTRIM', KEYS[2], 'MINID', '~', '0')
local number = digits(redis.call('HINCRBY', KEYS[1], 'barriers', 1))
announce(KEYS[2], tonumber(ARGV[1]), {'epoch', register.epoch, 'number', number})
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
return {'raised', register.epoch, number, last and last[1] or '0-0', unpack(mirrors)}
