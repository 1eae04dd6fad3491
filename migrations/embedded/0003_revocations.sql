-- The revocation feed: what whoever validates tokens elsewhere has to know. Ids grow, so a reader
-- goes on behind the last one it has seen.
CREATE TABLE revocations (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('jti', 'sid', 'sub', 'kid', 'all')),
    subject    TEXT    NOT NULL,                     -- the id of what is revoked; empty for all
    not_before INTEGER,                              -- for a user and for all: only tokens from before
    expires_at INTEGER NOT NULL                      -- when the last token that it is about has expired
) STRICT;

CREATE INDEX revocations_by_end ON revocations (expires_at);
