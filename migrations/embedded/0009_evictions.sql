-- Sessions that were ended since their account had too many, so that their clients can be told so. The latest
-- of each account alone are kept.
CREATE TABLE evictions (
    session    TEXT    PRIMARY KEY NOT NULL,
    user_id    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL                -- its end matters no more from then on
) STRICT, WITHOUT ROWID;

CREATE INDEX evictions_by_user ON evictions (user_id, expires_at);
CREATE INDEX evictions_by_end ON evictions (expires_at);
