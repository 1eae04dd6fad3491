-- Accounts.
CREATE TABLE users (
    -- AUTOINCREMENT: an id is never given twice, not even that of the newest account after it was
    -- deleted. A token names its user by id alone, so a reused id would hand one person's tokens
    -- to another.
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The one spelling (lower case) makes UNIQUE mean one account per address. The CHECK refuses a
    -- row written by hand that no login would ever find.
    email            TEXT    NOT NULL UNIQUE CHECK (email = lower(email)),
    -- NULL: not given. The empty text is never stored.
    first_name       TEXT,
    last_name        TEXT,
    role             TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    -- A PHC string: salt and cost parameters are within.
    password_hash    TEXT    NOT NULL,
    -- Counts security events; a session opened under an older version is refused.
    security_version INTEGER NOT NULL DEFAULT 1 CHECK (security_version > 0),
    -- The version whose cut-off the token store has confirmed. While it lags behind, sessions of an
    -- earlier version may still be alive: the cut-off is owed, also after a crash in between.
    cut_off_version  INTEGER NOT NULL DEFAULT 1,
    -- Milliseconds since the Unix epoch, from the application's clock.
    created_at       INTEGER NOT NULL
    -- STRICT: SQLite would otherwise keep a text in an INTEGER column.
) STRICT;

-- Nearly always empty: looked at every few seconds.
CREATE INDEX users_owed_a_cut_off ON users (id) WHERE cut_off_version < security_version;
