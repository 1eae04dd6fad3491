-- The key ring: what access tokens are signed with. Replicas share it, so each accepts what any
-- other has signed.
CREATE TABLE signing_keys (
    -- RFC 7638 thumbprint of the public half.
    kid        TEXT    PRIMARY KEY NOT NULL,
    -- RFC 7518 3.1, RFC 8037 3.1.
    algorithm  TEXT    NOT NULL CHECK (algorithm IN ('ES256', 'RS256', 'EdDSA')),
    -- The private half, encrypted under the server's secret: a copy of the database signs nothing.
    sealed     BYTEA   NOT NULL CHECK (length(sealed) > 0),
    -- Milliseconds since the Unix epoch, from the application's clock.
    created_at BIGINT  NOT NULL,
    -- next: published, not yet signing. active: signs. retiring: its tokens are still accepted.
    -- retired: its last token has expired. revoked: leaked; nothing it signed counts any more.
    state      TEXT    NOT NULL DEFAULT 'active'
               CHECK (state IN ('next', 'active', 'retiring', 'retired', 'revoked'))
);

-- One key signs. Replicas that start at once on an empty ring each offer a key; this index lets
-- exactly one of them in.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (algorithm) WHERE state = 'active';
