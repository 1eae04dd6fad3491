-- Moves the mark of a partition on, after what lies between was carried out or matters no more.
-- KEYS[1] state of the partition KEYS[2] applied entries          (same slot)
-- ARGV[1] where the mark is to stand now
-- ARGV[2] where it is to go      ARGV[3] id of the entry there
-- Returns {"moved"} | {"elsewhere"}: the mark does not stand there
-- Atomic: who was paused meanwhile moves no mark that somebody else has moved.
-- Model: StepsCompareAndSet

if redis.call('HGET', KEYS[1], 'mark') ~= ARGV[1] then return {'elsewhere'} end
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'entry', ARGV[3])
pass_over_applied(KEYS[1], KEYS[2], tonumber(ARGV[2]), ARGV[3])
return {'moved'}
