-- Writes something behind all that was revoked so far: whoever has this has that, too.
-- KEYS[1] the fence              KEYS[2] state of the partition   (same slot)
-- ARGV[1] vouching               ARGV[2] how long it is kept, ms
-- Returns {"written"} | {"unvouched"}
-- Atomic: it is written into the data that the caller's process has found whole.
-- Model: VouchingIsPassed

if not vouched(KEYS[2], ARGV[1]) then return {'unvouched'} end
-- The removal comes first, as wherever something is revoked: a Redis that is full takes this as well.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
return {'written'}
