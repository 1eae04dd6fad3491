-- A user has a reset token for each place that one was asked for at: what a stranger asks for voids none
-- that is in its owner's mail.

-- Those of before are void in any case: a file that is opened again is vouched for anew.
DROP TABLE reset_tokens;
CREATE TABLE reset_tokens (
    user_id          INTEGER NOT NULL,
    place            BLOB    NOT NULL,               -- mark of the place, 16 bytes
    hash             BLOB    NOT NULL,               -- SHA-256; the token itself is not kept
    security_version INTEGER NOT NULL,               -- of the account when it was issued
    expires_at       INTEGER NOT NULL,
    vouching         INTEGER NOT NULL,               -- a token of another vouching is void
    PRIMARY KEY (user_id, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX reset_tokens_by_end ON reset_tokens (expires_at);
