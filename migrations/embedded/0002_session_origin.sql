-- Where a session was opened: what its owner recognises it by. Sessions from before were all opened
-- by the service itself.

ALTER TABLE sessions ADD COLUMN address TEXT;                           -- of the connection's peer at login
ALTER TABLE sessions ADD COLUMN user_agent TEXT;                        -- at login, cut and cleaned
ALTER TABLE sessions ADD COLUMN client TEXT NOT NULL DEFAULT 'hallpass';
