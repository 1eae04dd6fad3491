-- Ends a session and denies its access tokens (RFC 7009 2.1), as an entry of the journal has it.
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's cut-off
-- KEYS[5] revocation feed        KEYS[6] state of the partition
-- KEYS[7] applied entries        KEYS[8] what is owed to the journal (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] how long the revocation is remembered, ms
-- ARGV[5] vouching
-- ARGV[6] position in the journal, 0 for one that is owed to it
-- ARGV[7] id of the entry        ARGV[8] id of the entry before it
-- ARGV[9] the entry as it is owed
-- Returns {"live" | "gone" | "foreign", "counted" | "again" | "passed" | "diverged"} | {"unvouched"} | {"implausible"}; a foreign one is another
-- user's, and lives on. An entry that somebody else has carried out by now is carried out again, or has passed
-- Atomic: of concurrent calls exactly one gets "live".
-- Model: VouchingIsPassed, AppliedBeforeTheMark, OwedUntilJournaled

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local incarnation = vouched(KEYS[6], ARGV[5])
if not incarnation then return {'unvouched'} end
local position = tonumber(ARGV[6])
if was_owed(KEYS[8], position, ARGV[7]) then
  return {'gone', place(KEYS[6], KEYS[7], KEYS[8], position, ARGV[7], ARGV[8], ARGV[9])}
end
local keys = {KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]}
local was_applied = is_applied(KEYS[7], position, ARGV[7], ARGV[8])
local verdict = revoke_session(keys, incarnation, ARGV[2], ARGV[3], now, tonumber(ARGV[4]))
local placed = place(KEYS[6], KEYS[7], KEYS[8], position, ARGV[7], ARGV[8], ARGV[9])
return {verdict, was_applied and placed == 'counted' and 'again' or placed}
