-- Carries out again entries of the journal about sessions and access tokens, all of one partition.
-- KEYS[1] state of the partition KEYS[2] revocation feed
-- KEYS[3] applied entries
-- KEYS[4] and on: of each session its hash, the user's session set, denylist and cut-off; of each
-- access token its denylist                                       (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] how long the revocations are remembered, ms
-- ARGV[3] and on: of each entry its position in the journal, its id there and that of the entry before it, "session"
-- or "token", whose id, and the user's or empty for a machine's
-- Returns {"carried out"} | {"unvouched"} | {"implausible"}: the mark is moved later, when all of a step
-- are carried out; until then whoever wrote an entry finds it among those that were
-- Atomic: nobody sees some of them done; where one fails, those before it are, and the mark stays.
-- Model: AppliedBeforeTheMark, MarkMovesOnlyOverApplied

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local incarnation = vouched(KEYS[1], '')
if not incarnation then return {'unvouched'} end
local denial = tonumber(ARGV[2])
local mark = integer(redis.call('HGET', KEYS[1], 'mark'))
local next_key, next_word = in_turn(KEYS, 4), in_turn(ARGV, 3)
for position in next_word do
  local entry, previous = next_word(), next_word()
  local kind, id, user = next_word(), next_word(), next_word()
  if kind == 'session' then
    local session, sessions, denied, cutoff = next_key(), next_key(), next_key(), next_key()
    revoke_session({session, sessions, denied, cutoff, KEYS[2]}, incarnation, id, user, now, denial)
  else
    revoke_access_token(next_key(), KEYS[2], user, id, now, denial)
  end
  if tonumber(position) > mark then note_applied(KEYS[3], tonumber(position), entry, previous) end
end
return {'carried out'}
