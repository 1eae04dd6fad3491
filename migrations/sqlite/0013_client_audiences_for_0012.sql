-- Whom else a client may ask for a token for (RFC 8707): a JSON array of texts.
ALTER TABLE clients ADD COLUMN audiences TEXT NOT NULL DEFAULT '[]';
-- Whether it may exchange the tokens that others come with (RFC 8693).
ALTER TABLE clients ADD COLUMN exchange INTEGER NOT NULL DEFAULT 0 CHECK (exchange IN (0, 1));
