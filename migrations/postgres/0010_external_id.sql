-- What other databases refer to the account by: compared byte by byte, whatever the database's language.
ALTER TABLE users ADD COLUMN external_id TEXT COLLATE "C";

-- Most accounts have none.
CREATE UNIQUE INDEX users_external_id_key ON users (external_id) WHERE external_id IS NOT NULL;
