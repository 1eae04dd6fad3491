-- When a signing key came to stand where it stands; each is NULL before. Milliseconds since the Unix
-- epoch, from the application's clock.
ALTER TABLE signing_keys ADD COLUMN activated_at INTEGER;  -- it signs
ALTER TABLE signing_keys ADD COLUMN retiring_at  INTEGER;  -- it signs no more
ALTER TABLE signing_keys ADD COLUMN retired_at   INTEGER;  -- it is no longer published
ALTER TABLE signing_keys ADD COLUMN revoked_at   INTEGER;  -- it has leaked
-- The revocation feed was last told of its revocation. Until then that is owed, by any replica.
ALTER TABLE signing_keys ADD COLUMN announced_at INTEGER;

-- Every key signed since it was made, if it was not taken out by hand. Of several algorithms the one
-- with the newest key goes on.
UPDATE signing_keys SET activated_at = created_at;
UPDATE signing_keys SET revoked_at = created_at WHERE state = 'revoked';
UPDATE signing_keys
SET state = 'retiring', retiring_at = (SELECT max(created_at) FROM signing_keys)
WHERE state = 'active'
  AND kid <> (SELECT kid FROM signing_keys WHERE state = 'active' ORDER BY created_at DESC, kid DESC LIMIT 1);

-- One key signs, whatever its algorithm: a change of the algorithm is a rotation as well.
DROP INDEX signing_keys_one_active;
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (state) WHERE state = 'active';
