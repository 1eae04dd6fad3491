-- A shut account: nobody can log in to it.
ALTER TABLE users ADD COLUMN disabled       INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
-- Whether the owner has proven that the address is theirs.
ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1));

-- Deleted accounts whose cut-off is still owed: the row goes when the token store has confirmed it.
CREATE TABLE deleted_users (
    id               INTEGER PRIMARY KEY,
    -- The first version that would still count, had the account lived on.
    security_version INTEGER NOT NULL
) STRICT;

-- Nobody may take the last administrator away: asked at every change that could.
CREATE INDEX users_enabled_admins ON users (id) WHERE role = 'admin' AND disabled = 0;
