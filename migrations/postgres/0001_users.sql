-- Accounts.
CREATE TABLE users (
    -- GENERATED ALWAYS: an id comes from the sequence and is never given twice; a registration that
    -- fails leaves a gap. A token names its user by id alone, so a reused id would hand one person's
    -- tokens to another.
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The one spelling (lower case) makes UNIQUE mean one account per address. The CHECK refuses a
    -- row written by hand that no login would ever find. Collation "C": equality is equality of
    -- bytes whatever the database's locale, and lower() changes A to Z only, so that the two never
    -- disagree about a letter that one of them has learned of later.
    email            TEXT COLLATE "C" NOT NULL UNIQUE CHECK (email = lower(email)),
    -- NULL: not given. The empty text is never stored.
    first_name       TEXT,
    last_name        TEXT,
    role             TEXT   NOT NULL CHECK (role IN ('admin', 'member')),
    -- A PHC string: salt and cost parameters are within.
    password_hash    TEXT   NOT NULL,
    -- Counts security events; a session opened under an older version is refused.
    security_version BIGINT NOT NULL DEFAULT 1 CHECK (security_version > 0),
    -- The version whose cut-off the token store has confirmed. While it lags behind, sessions of an
    -- earlier version may still be alive: the cut-off is owed, also after a crash in between.
    cut_off_version  BIGINT NOT NULL DEFAULT 1,
    -- Milliseconds since the Unix epoch, from the application's clock.
    created_at       BIGINT NOT NULL
);

-- Nearly always empty: looked at every few seconds.
CREATE INDEX users_owed_a_cut_off ON users (id) WHERE cut_off_version < security_version;
