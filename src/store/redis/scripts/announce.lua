-- Appends to the revocation feed that a signing key was revoked.
-- KEYS[1] revocation feed of everybody KEYS[2] state of the partition (same slot)
-- ARGV[1] how long it is remembered, ms
-- ARGV[2] the key's id           ARGV[3] until, ms
-- ARGV[4] vouching
-- Returns {"announced"} | {"unvouched"}
-- Atomic: entries have the order in which they were announced.
-- Model: VouchingIsPassed

if not vouched(KEYS[2], ARGV[4]) then return {'unvouched'} end
announce(KEYS[1], tonumber(ARGV[1]), {'kid', ARGV[2], 'until', ARGV[3]})
return {'announced'}
