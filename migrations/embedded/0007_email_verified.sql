-- Whether the address was proven at login. Of sessions from before it is not known, which the account is
-- asked about as for one that was not.

ALTER TABLE sessions ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1));
