-- The token store in one process: sessions, denials, cut-offs, reset tokens.
--
-- Moments are milliseconds since the Unix epoch, from hallpass' own clock; every statement compares
-- them with the caller's now. Deleting what has ended only saves room.
-- STRICT: a column of the wrong type is an error when it is written, not a riddle when it is read.

CREATE TABLE sessions (
    id                TEXT    NOT NULL PRIMARY KEY,  -- UUID, hyphenated
    user_id           INTEGER NOT NULL,
    email             TEXT    NOT NULL,              -- at login
    role              TEXT    NOT NULL,              -- at login
    security_version  INTEGER NOT NULL,              -- of the credentials that were checked at login
    generation        INTEGER NOT NULL,              -- of the current refresh token; the token itself is not kept
    created_at        INTEGER NOT NULL,
    rotated_at        INTEGER NOT NULL,
    issued_at         INTEGER NOT NULL,              -- of the newest access token
    idle_deadline     INTEGER NOT NULL,
    absolute_deadline INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A cut-off ends a user's sessions by version.
CREATE INDEX sessions_of_user ON sessions (user_id, security_version);
CREATE INDEX sessions_by_end ON sessions (min(idle_deadline, absolute_deadline));

-- Access tokens that were revoked by themselves. Those of a session need no entry: without the
-- session's row they are refused.
CREATE TABLE denials (
    user_id    INTEGER NOT NULL,
    jti        TEXT    NOT NULL,                     -- UUID, hyphenated
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX denials_by_end ON denials (expires_at);

-- The newest security event of a user: sessions of an older version are not opened any more. Those
-- that were open are deleted with it.
CREATE TABLE cutoffs (
    user_id          INTEGER NOT NULL PRIMARY KEY,
    security_version INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX cutoffs_by_end ON cutoffs (expires_at);

-- One per user: a newer reset token overwrites the older one.
CREATE TABLE reset_tokens (
    user_id          INTEGER NOT NULL PRIMARY KEY,
    hash             BLOB    NOT NULL,               -- SHA-256; the token itself is not kept
    security_version INTEGER NOT NULL,               -- of the account when it was issued
    expires_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX reset_tokens_by_end ON reset_tokens (expires_at);

-- Since when this file remembers: written by the first session and never again. Tokens from before
-- may have been revoked in a file that is lost.
CREATE TABLE incarnation (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    since INTEGER NOT NULL
) STRICT;
