-- Ends a session and denies its access tokens (RFC 7009 2.1).
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's denylist    KEYS[4] the user's cut-off
-- KEYS[5] revocation feed                                         (same slot)
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] how long the revocation is remembered, ms
-- Returns {"live"} if it was live | {"gone"} if not | {"foreign"}, nothing done: another user's
-- Atomic: of concurrent calls exactly one gets "live".

local now = tonumber(ARGV[1])
local session, dead = live_session(KEYS[1], KEYS[2], KEYS[4], ARGV[2], ARGV[3], now)
if session then
  forget(KEYS[1], KEYS[2], ARGV[2], session.version, now)
elseif dead[1] == 'foreign' then
  return dead
else
  -- Also when its entry means nothing: what cannot be read must not live on.
  redis.call('DEL', KEYS[1])
end
-- An unknown session is announced to nobody: it may be another user's.
if session or dead[1] ~= 'unknown' then
  deny_session(KEYS[3], KEYS[5], ARGV[3], ARGV[2], now, tonumber(ARGV[4]))
end
if session then return {'live'} end
return {'gone'}
