-- Moves the mark of a partition on, after what lies between was carried out or matters no more.
-- KEYS[1] state of the partition KEYS[2] applied entries          (same slot)
-- ARGV[1] where the mark is to stand now
-- ARGV[2] id of the entry there
-- ARGV[3] where it is to go      ARGV[4] id of the entry there
-- Returns {"moved"} | {"elsewhere"}: the mark does not stand there
-- Atomic: who was paused meanwhile moves no mark that somebody else has moved.
-- Model: StepsCompareAndSet

-- With its entry: a position that was given again is another one.
local stands = redis.call('HMGET', KEYS[1], 'mark', 'entry')
if stands[1] ~= ARGV[1] or stands[2] ~= ARGV[2] then return {'elsewhere'} end
redis.call('HSET', KEYS[1], 'mark', ARGV[3], 'entry', ARGV[4])
pass_over_applied(KEYS[1], KEYS[2], tonumber(ARGV[3]), ARGV[4])
return {'moved'}
