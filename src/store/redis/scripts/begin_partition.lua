-- Begins a partition anew, if it stands as it was read.
-- KEYS[1] state of the partition KEYS[2] applied entries          (same slot)
-- ARGV[1] incarnation            ARGV[2] vouching
-- ARGV[3] mark                   ARGV[4] id of the entry there
-- ARGV[5] seal: the server that it is vouched for on
-- ARGV[6] vouching as it was read, or empty where there was nothing
-- Returns {"begun"} | {"changed"}: it does not stand as it was read
-- Atomic: of several that find nothing the first counts, and the others look again. One who was paused, and
-- finds it condemned or lost a second time, writes an incarnation below the one that the database has got since:
-- nobody vouches for that, and the next look begins it anew (model: IncarnationNeverGoesBack).
-- Model: StepsCompareAndSet

if (redis.call('HGET', KEYS[1], 'vouching') or '') ~= ARGV[6] then return {'changed'} end
-- What was carried out in what is lost counts for nothing.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'vouching', ARGV[2], 'mark', ARGV[3], 'entry', ARGV[4],
  'seal', ARGV[5])
return {'begun'}
