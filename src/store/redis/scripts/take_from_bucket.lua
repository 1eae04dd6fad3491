-- Takes from a bucket that leaks evenly, or gives back to it (GCRA as a leaky bucket, ITU-T I.371 A).
-- KEYS[1] bucket
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] burst: how many takes there is room for, and how many units leak in a ms
-- ARGV[3] period, ms: how many units a take fills, and how long a full bucket takes to be empty
-- ARGV[4] what is done: take or give_back
-- Returns {"admitted" | "refused" | "given_back", units in it after that} | {"corrupt", kind of key, field} | {"implausible"}
-- Atomic: of concurrent takes exactly as many are admitted as there is room for; a refused one changes nothing.

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local burst, period = tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'u', 't')
local units, at = 0, now
if stored[1] or stored[2] then
  units, at = integer(stored[1]), integer(stored[2])
  if not (units and at) then return {'corrupt', 'bucket', 'u or t'} end
end

-- domain::rate_limit::Fill, word for word. All numbers are whole and below 2^53, so exact.
-- Model: StoresClockDecides
local elapsed = math.max(0, now - at)
if elapsed >= period then units = 0 else units = math.min(units, burst * period) - elapsed * burst end
units = math.max(0, units)

local verdict
if ARGV[4] == 'give_back' then
  verdict, units = 'given_back', math.max(0, units - period)
elseif units + period <= burst * period then
  verdict, units = 'admitted', units + period
else
  return {'refused', digits(units)}
end

if units == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'u', digits(units), 't', digits(now))
  expire_in(KEYS[1], math.ceil(units / burst) + MARGIN_MS)
end
return {verdict, digits(units)}
