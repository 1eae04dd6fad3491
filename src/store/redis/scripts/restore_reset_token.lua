-- Puts back a reset token that was taken in vain, unless a newer one of its place stands there.
-- KEYS[1] the user's reset tokens KEYS[2] the user's cut-off
-- KEYS[3] state of the partition                                  (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] hash of the token, hex ARGV[3] security version
-- ARGV[4] deadline, ms           ARGV[5] vouching
-- ARGV[6] the place, hex
-- Returns {"kept"} | {"superseded"}: a security event or a newer token has voided it | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: a token of its place that is inserted at the same time wins, whichever comes first.
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[3], ARGV[5]) then return {'unvouched'} end
local first_version = cutoff_version(KEYS[2])
if not first_version then return {'corrupt', 'cutoff', 'version'} end
if tonumber(ARGV[3]) < first_version then return {'superseded'} end
local standing = reset_token(redis.call('HGET', KEYS[1], ARGV[6]) or '')
if is_live_reset(standing, now, ARGV[5]) then return {'superseded'} end

keep_reset(KEYS[1], ARGV[6], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], now)
return {'kept'}
