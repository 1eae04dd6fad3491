-- Where accounts have logged in from of late: whoever comes from there is not held up by what
-- others try from elsewhere. Both columns are keyed hashes; no address is kept.
CREATE TABLE places (
    account    BLOB    NOT NULL,
    place      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (account, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX places_by_end ON places (expires_at);
