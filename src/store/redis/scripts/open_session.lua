-- Writes a new session, unless a security event has ended the version its credentials were checked at.
-- KEYS[1] session hash           KEYS[2] the user's session set
-- KEYS[3] the user's cut-off     KEYS[4] state of the partition   (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] session id             ARGV[3] user id
-- ARGV[4] security version       ARGV[5] generation
-- ARGV[6] idle lifetime, ms      ARGV[7] absolute lifetime, ms
-- ARGV[8] vouching               ARGV[9] the format of what the session carries
-- ARGV[10] and on: the pieces of that
-- Returns {"opened", nothing, names and values of the session's fields} | {"superseded", first version}
--       | {"older"}: sessions of an earlier version stand | {"unvouched"} | {"implausible"} | {"corrupt", kind of key, field}
-- Atomic: a cut-off that comes first refuses the session, one that comes later ends it.
-- Model: VouchingIsPassed, NoSessionBelowTheCutOff

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local incarnation = vouched(KEYS[4], ARGV[8])
if not incarnation then return {'unvouched'} end
local first_version = cutoff_version(KEYS[3])
if not first_version then return {'corrupt', 'cutoff', 'version'} end
if tonumber(ARGV[4]) < first_version then return {'superseded', digits(first_version)} end
-- They are an earlier holder's of that number, or a security event is about to end them. What a cut-off has
-- left of very many is dead. None is opened beside older ones, so that some tell of all.
local live = redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', '(' .. digits(now), 'LIMIT', 0, 100)
for _, member in ipairs(live) do
  local version = tonumber(string.match(member, ':(%-?%d+)$'))
  if version and version >= first_version and version < tonumber(ARGV[4]) then return {'older'} end
end

local absolute_deadline = now + tonumber(ARGV[7])
local idle_deadline = math.min(now + tonumber(ARGV[6]), absolute_deadline)
local words = {'u', ARGV[3], 'v', ARGV[4], 'g', ARGV[5], 'c', digits(now), 't', digits(now), 'n', digits(now),
  'i', digits(idle_deadline), 'a', digits(absolute_deadline), 'b', incarnation}
local pieces = {}
for piece in in_turn(ARGV, 10) do
  words[#words + 1] = tostring(#pieces)
  words[#words + 1] = piece
  pieces[#pieces + 1] = piece
end
words[#words + 1] = 'd'
words[#words + 1] = mark_of(ARGV[9], table.concat(pieces))
redis.call('HSET', KEYS[1], unpack(words))
expire_in(KEYS[1], idle_deadline - now)
redis.call('ZADD', KEYS[2], digits(idle_deadline), set_member(ARGV[2], ARGV[4]))
tidy(KEYS[2], now)
local session = {stored = {}, ahead = 0}
note(session.stored, words)
return answer('opened', session)
