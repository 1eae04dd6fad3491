-- Lists what replicas have said of themselves that still holds.
-- KEYS[1] the replicas that are there
-- ARGV[1] time: the latest that it can be, and a test clock's
-- Returns {"listed", what each said…} | {"implausible"}
-- Atomic: it reads one moment, and changes nothing.

local now = moment(ARGV[1])
if not now then return {'implausible'} end
local words = {'listed'}
for _, said in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. digits(now), '+inf')) do
  words[#words + 1] = said
end
return words
