-- OAuth clients: services that call hallpass in their own name.
CREATE TABLE clients (
    id         TEXT    PRIMARY KEY NOT NULL,
    -- Scope tokens with single spaces between (RFC 6749 3.3).
    scopes     TEXT    NOT NULL,
    -- Claim aud of its tokens; NULL: the service's own audience.
    audience   TEXT,
    -- Milliseconds since the Unix epoch, from the application's clock.
    created_at INTEGER NOT NULL
) STRICT;

-- Two at most for each client: the one in use and the next, while it is rolled out.
CREATE TABLE client_secrets (
    client_id  TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- SHA-256 of 256 random bits.
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, hash)
) STRICT;
