-- Denies one access token; its session lives on (RFC 7009 2.1).
-- KEYS[1] the user's denylist    KEYS[2] revocation feed          (same slot)
-- ARGV[1] now, ms since epoch, from our Clock
-- ARGV[2] token id (jti)         ARGV[3] user id
-- ARGV[4] how long the revocation is remembered, ms
-- Returns {"denied"}
-- Atomic: a repeated call never shortens the denial.

local now, denial = tonumber(ARGV[1]), tonumber(ARGV[4])
deny(KEYS[1], 'j:' .. ARGV[2], now + denial, now)
announce(KEYS[2], now, denial, {'sub', ARGV[3], 'jti', ARGV[2], 'until', digits(now + denial)})
return {'denied'}
