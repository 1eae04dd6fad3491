-- Denies one access token; its session lives on (RFC 7009 2.1), as an entry of the journal has it.
-- KEYS[1] the denylist           KEYS[2] revocation feed
-- KEYS[3] state of the partition KEYS[4] applied entries
-- KEYS[5] what is owed to the journal                             (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] token id (jti)         ARGV[3] user id, or empty for a machine's
-- ARGV[4] how long the revocation is remembered, ms
-- ARGV[5] vouching
-- ARGV[6] position in the journal, 0 for one that is owed to it
-- ARGV[7] id of the entry        ARGV[8] id of the entry before it
-- ARGV[9] the entry as it is owed
-- Returns {"denied", "counted" | "again" | "passed" | "diverged"} | {"unvouched"} | {"implausible"}
-- Atomic: a repeated call never shortens the denial.
-- Model: VouchingIsPassed, AppliedBeforeTheMark, OwedUntilJournaled

local now = moment(ARGV[1])
if not now then return {'implausible'} end
if not vouched(KEYS[3], ARGV[5]) then return {'unvouched'} end
local position = tonumber(ARGV[6])
if not was_owed(KEYS[5], position, ARGV[7]) then
  revoke_access_token(KEYS[1], KEYS[2], ARGV[3], ARGV[2], now, tonumber(ARGV[4]))
end
return {'denied', place(KEYS[3], KEYS[4], KEYS[5], position, ARGV[7], ARGV[8], ARGV[9])}
