-- Judges a refresh token without rotating it and without prolonging its session (RFC 9700 4.14.2).
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's cut-off
-- KEYS[5] state of the partition KEYS[6] revocation feed
-- KEYS[7] what is owed to the journal
-- KEYS[8] the user's evictions                                    (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] presented generation   ARGV[5] "revoke" or "refuse": what reuse brings about
-- ARGV[6] grace period, ms       ARGV[7] how long a revocation is remembered, ms
-- ARGV[8] vouching               ARGV[9] id of an entry of the journal, for an alarm
-- ARGV[10] whether the caller can read the session: "readable" | "unreadable", or "unseen" where it has not looked
-- ARGV[11] the format of what is carried that the caller reads and writes
-- Returns {"current" | "previous" | "recovered", by how many ms it was ahead or nothing, names and values of the
--         session's fields after it}
--       | {"reused", until when its end matters, ms, or nothing where it goes on}
--       | {"expired", "idle" | "absolute"} | {"evicted"} | {"unknown"} | {"foreign"} | {"unvouched"}
--       | {"implausible"} | {"corrupt", kind of key, field} | {"unreadable"}: nothing was done
--       | {"unseen", by how many ms it was ahead or nothing}: nothing was done, the caller has to look
-- Atomic: of concurrent calls with one superseded token the first gets "reused", when it revokes
-- the others get "unknown".
-- Model: VouchingIsPassed, GraceClosesOnUse, AheadMovesForward, ReuseEndsTheSession

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local presented = tonumber(ARGV[4])
local incarnation = vouched(KEYS[5], ARGV[8])
if not incarnation then return {'unvouched'} end
local session, dead = live_session(KEYS[1], KEYS[2], KEYS[4], incarnation, ARGV[2], ARGV[3], now)
if not session then return answer_for_dead(dead, KEYS[8], ARGV[2], now) end
local not_yet = unread(session, ARGV[10], ARGV[11])
if not_yet then return not_yet end

local verdict = judge(presented, session.generation, session.rotated_at, now, tonumber(ARGV[6]))
if verdict == 'superseded' then
  if ARGV[5] ~= 'revoke' then return {'reused'} end
  local keys = {KEYS[1], KEYS[2], KEYS[3], KEYS[6], KEYS[7]}
  return {'reused', end_and_owe(keys, ARGV[3], ARGV[2], session, now, tonumber(ARGV[7]), ARGV[9])}
end

if verdict == 'ahead' then
  local words = {'g', ARGV[4], 't', digits(now)}
  redis.call('HSET', KEYS[1], unpack(words))
  note(session.stored, words)
  verdict = 'recovered'
end
note_access_token(KEYS[1], session, now)
return answer(verdict, session)
