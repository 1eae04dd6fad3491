-- Keeps a reset token in place of any earlier one of its place, so that there only the newest counts.
-- KEYS[1] the user's reset tokens KEYS[2] the user's cut-off
-- KEYS[3] state of the partition                                  (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] hash of the token, hex ARGV[3] security version
-- ARGV[4] how long it is good, ms ARGV[5] vouching
-- ARGV[6] the place, hex
-- ARGV[7] how many places may have one at once for this one to get its first
-- Returns {"kept"} | {"full"}: nothing was changed | {"superseded"}: a security event has voided it meanwhile | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls for one place the last one counts, and of those for several no more than there is room for.
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[3], ARGV[5]) then return {'unvouched'} end
local first_version = cutoff_version(KEYS[2])
if not first_version then return {'corrupt', 'cutoff', 'version'} end
if tonumber(ARGV[3]) < first_version then return {'superseded'} end

local kept = redis.call('HGETALL', KEYS[1])
local places, void = 0, {}
for i = 1, #kept, 2 do
  local is_live = is_live_reset(reset_token(kept[i + 1]), now, ARGV[5])
  if not is_live or kept[i] == ARGV[6] then table.insert(void, kept[i]) end
  if is_live then places = places + 1 end
  if is_live and kept[i] == ARGV[6] then places = -math.huge end
end
if places >= tonumber(ARGV[7]) then return {'full'} end

if #void > 0 then redis.call('HDEL', KEYS[1], unpack(void)) end
keep_reset(KEYS[1], ARGV[6], ARGV[2], ARGV[3], now + tonumber(ARGV[4]), ARGV[5], now)
return {'kept'}
