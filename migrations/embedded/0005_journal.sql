-- What the revocation journal is to this file: up to where it was carried out here, and by which
-- vouching the data was last found whole.

CREATE TABLE partitions (
    partition   INTEGER NOT NULL PRIMARY KEY,        -- 0 to 63: the user's id modulo 64; 64: no user's
    incarnation INTEGER NOT NULL,                    -- one more, at least, with each loss of data
    vouching    INTEGER NOT NULL,                    -- a random number
    position    INTEGER NOT NULL,                    -- all of the journal up to here was carried out
    entry       INTEGER NOT NULL,                    -- the entry of the journal at that position
    seal        TEXT    NOT NULL                     -- the opening of this file that it was vouched for in
) STRICT;

-- Positions behind the mark that were carried out before one that lies between.
CREATE TABLE applied (
    partition INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    entry     INTEGER NOT NULL,
    previous  INTEGER NOT NULL,                      -- the entry before it
    PRIMARY KEY (partition, position)
) STRICT, WITHOUT ROWID;

-- Revocations that were carried out and are not in the journal yet.
CREATE TABLE owed (
    entry   INTEGER NOT NULL PRIMARY KEY,
    kind    TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'token')),
    user_id INTEGER,                                 -- NULL: a machine's token
    subject TEXT,
    version INTEGER,
    until   INTEGER NOT NULL
) STRICT;

-- Sessions of before name no incarnation: everybody logs in again. What else there is belongs to them.
DELETE FROM sessions;
DELETE FROM reset_tokens;
DELETE FROM denials;
DELETE FROM cutoffs;
DROP TABLE incarnation;
ALTER TABLE sessions ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
-- A reset token of another vouching is void: it may have been used or replaced in what was lost.
ALTER TABLE reset_tokens ADD COLUMN vouching INTEGER NOT NULL DEFAULT 0;

-- The feed decides by numbers: a user's versions, not moments.
DROP TABLE revocations;
CREATE TABLE revocations (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('jti', 'sid', 'sub', 'kid')),
    subject    TEXT    NOT NULL,                     -- the id of what is revoked
    below      INTEGER,                              -- for a user: only tokens of an earlier version
    expires_at INTEGER NOT NULL                      -- when the last token that it is about has expired
) STRICT;

CREATE INDEX revocations_by_end ON revocations (expires_at);
