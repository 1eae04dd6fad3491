-- Appends to the revocation feed what concerns no user: a client's token, a key, or everything.
-- KEYS[1] revocation feed of everybody
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] how long it is remembered, ms
-- ARGV[3] "jti", "kid" or "all"  ARGV[4] the token's or the key's id, or 1
-- ARGV[5] not before, ms, or empty
-- ARGV[6] until, ms
-- Returns {"announced"}
-- Atomic: entries have the order in which they were announced.

announce(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]),
  {ARGV[3], ARGV[4], 'nbf', ARGV[5], 'until', ARGV[6]})
return {'announced'}
