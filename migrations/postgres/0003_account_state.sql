-- A shut account: nobody can log in to it.
ALTER TABLE users ADD COLUMN disabled       BOOLEAN NOT NULL DEFAULT FALSE;
-- Whether the owner has proven that the address is theirs.
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE;

-- Deleted accounts whose cut-off is still owed: the row goes when the token store has confirmed it.
CREATE TABLE deleted_users (
    id               BIGINT PRIMARY KEY,
    -- The first version that would still count, had the account lived on.
    security_version BIGINT NOT NULL
);

-- Nobody may take the last administrator away: asked at every change that could.
CREATE INDEX users_enabled_admins ON users (id) WHERE role = 'admin' AND NOT disabled;
