-- Appends to the revocation feed that a signing key was revoked.
-- KEYS[1] revocation feed of everybody KEYS[2] state of the partition (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] the key's id           ARGV[3] how long it is remembered, ms
-- ARGV[4] vouching
-- Returns {"announced"} | {"unvouched"} | {"implausible"}
-- Atomic: entries have the order in which they were announced.
-- Model: VouchingIsPassed

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[2], ARGV[4]) then return {'unvouched'} end
local remembered = tonumber(ARGV[3])
announce(KEYS[1], remembered, {'kid', ARGV[2], 'until', digits(now + remembered)})
return {'announced'}
