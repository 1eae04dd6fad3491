-- What other databases refer to the account by: compared byte by byte.
ALTER TABLE users ADD COLUMN external_id TEXT;

-- Most accounts have none.
CREATE UNIQUE INDEX users_external_id_key ON users (external_id) WHERE external_id IS NOT NULL;
