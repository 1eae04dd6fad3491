-- Values that all replicas share and nobody else may know. The application makes each when it needs it first.
CREATE TABLE sealed_values (
    -- limit_marks: what the marks of accounts, places and limits are keyed by, so that a new secret forgets none.
    name      TEXT   PRIMARY KEY,
    -- The value, encrypted under the server's secret, as signing keys are.
    sealed    BYTEA  NOT NULL CHECK (length(sealed) > 0),
    -- Since when it is under that secret. Milliseconds since the Unix epoch, from the application's clock.
    sealed_at BIGINT NOT NULL
);
