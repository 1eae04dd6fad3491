-- Appends to the revocation feed that a client was deleted, as an entry of the journal has it.
-- KEYS[1] revocation feed        KEYS[2] state of the partition
-- KEYS[3] applied entries        KEYS[4] what is owed to the journal (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] the client's id        ARGV[3] until when that matters, ms
-- ARGV[4] how long revocations are remembered, ms
-- ARGV[5] vouching, or empty in a replay
-- ARGV[6] position in the journal, 0 for one that is owed to it, -1 in a replay
-- ARGV[7] id of the entry        ARGV[8] id of the entry before it
-- Returns {"announced", "counted" | "again" | "passed" | "diverged"} | {"unvouched"} | {"implausible"}
-- Atomic: entries have the order in which they were announced; told twice is as good as once, until the same moment.
-- Model: VouchingIsPassed, AppliedBeforeTheMark

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[2], ARGV[5]) then return {'unvouched'} end
-- A removal comes first, whether there is anything to remove or not.
redis.call('HDEL', KEYS[4], ARGV[7])
announce_client(KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
local words = 'user - ' .. ARGV[2] .. ' ' .. ARGV[3]
return {'announced', place(KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[6]), ARGV[7], ARGV[8], words)}
