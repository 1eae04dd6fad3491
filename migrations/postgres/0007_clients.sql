-- OAuth clients: services that call hallpass in their own name.
CREATE TABLE clients (
    id         TEXT COLLATE "C" PRIMARY KEY,
    -- Scope tokens with single spaces between (RFC 6749 3.3).
    scopes     TEXT   NOT NULL,
    -- Claim aud of its tokens; NULL: the service's own audience.
    audience   TEXT,
    -- Milliseconds since the Unix epoch, from the application's clock.
    created_at BIGINT NOT NULL
);

-- Two at most for each client: the one in use and the next, while it is rolled out.
CREATE TABLE client_secrets (
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- SHA-256 of 256 random bits.
    hash       BYTEA  NOT NULL CHECK (length(hash) = 32),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, hash)
);
