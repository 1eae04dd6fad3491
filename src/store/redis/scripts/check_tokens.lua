-- Says of which access tokens it is certain that they stand. The others are looked at one by one.
-- KEYS[1] and on: of each token the state of its partition, the user's denylist, the session hash, and the user's
-- cut-off                                                         (same slot)
-- ARGV[1] time: the latest that it can be, and a test clock's
-- ARGV[2] and on: of each token vouching, incarnation that it was minted in, user id, session and token as the denylist
-- has them
-- Returns {"looked", "1" of each that stands and "0" of the others} | {"implausible"}
-- Atomic: it reads one moment, and changes nothing. Whether the server is the master is asked behind it.
-- Model: VouchingIsPassed, TokensOfTheirIncarnation, VersionsNotTimes

local now = moment(ARGV[1])
if not now then return {'implausible'} end

-- Each state is read once.
local states = {}
local function is_in(state, vouching, incarnation)
  local stored = states[state] or redis.call('HMGET', state, 'vouching', 'incarnation')
  states[state] = stored
  return stored[1] == vouching and stored[2] == incarnation
end

local function session_stands(session, cutoff, user, incarnation)
  local stored = redis.call('HMGET', session, 'u', 'b', 'v', 'i', 'a')
  if stored[1] ~= user or stored[2] ~= incarnation then return false end
  local version, idle, absolute = integer(stored[3]), integer(stored[4]), integer(stored[5])
  local first_version = cutoff_version(cutoff)
  if not (version and idle and absolute and first_version) then return false end
  return version >= first_version and now < idle and now < absolute
end

local next_key, next_word = in_turn(KEYS, 1), in_turn(ARGV, 2)
local looked = {}
for state in next_key do
  local denied, session, cutoff = next_key(), next_key(), next_key()
  local vouching, incarnation, user = next_word(), next_word(), next_word()
  local ends = redis.call('ZMSCORE', denied, next_word(), next_word())
  local stands = not (ends[1] or ends[2]) and session_stands(session, cutoff, user, incarnation)
    -- Last, as wherever it is looked at.
    and is_in(state, vouching, incarnation)
  looked[#looked + 1] = stands and '1' or '0'
end
return {'looked', table.concat(looked)}
