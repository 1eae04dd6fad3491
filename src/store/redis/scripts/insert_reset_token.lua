-- Keeps a reset token in place of any earlier one of the user, so that only the newest counts.
-- KEYS[1] the user's reset token KEYS[2] the user's cut-off
-- KEYS[3] state of the partition                                  (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] hash of the token, hex ARGV[3] security version
-- ARGV[4] how long it is good, ms ARGV[5] vouching
-- Returns {"kept"} | {"superseded"}: a security event has voided it meanwhile | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: of concurrent calls the last one counts.
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[3], ARGV[5]) then return {'unvouched'} end
local first_version = cutoff_version(KEYS[2])
if not first_version then return {'corrupt', 'cutoff', 'version'} end
if tonumber(ARGV[3]) < first_version then return {'superseded'} end

redis.call('HSET', KEYS[1], 'hash', ARGV[2], 'version', ARGV[3], 'deadline', digits(now + tonumber(ARGV[4])),
  'vouching', ARGV[5])
expire_in(KEYS[1], tonumber(ARGV[4]))
return {'kept'}
