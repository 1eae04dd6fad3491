-- Begins a partition anew, if it stands as it was read.
-- KEYS[1] state of the partition KEYS[2] applied entries
-- KEYS[3] revocation feed                                         (same slot)
-- ARGV[1] incarnation            ARGV[2] vouching
-- ARGV[3] mark                   ARGV[4] id of the entry there
-- ARGV[5] seal: the server that it is vouched for on
-- ARGV[6] vouching as it was read, or empty where there was nothing
-- ARGV[7] how long revocations are remembered, ms
-- ARGV[8] and on: of each client that was deleted its id, and until when that matters, ms
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
-- Tokens that a client acts by are of other partitions, which may have lost nothing.
local next_word = in_turn(ARGV, 8)
for client in next_word do announce_client(KEYS[3], client, next_word(), tonumber(ARGV[7])) end
return {'begun'}
