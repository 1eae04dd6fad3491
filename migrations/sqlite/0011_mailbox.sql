-- The mailbox that an address stands for, by which addresses are compared: the domain is its A-label
-- (UTS 46). SQL knows no UTS 46, so hallpass fills in what is not ASCII when it starts; NULL: not yet, or
-- another account had the mailbox already.
ALTER TABLE users ADD COLUMN mailbox TEXT;

UPDATE users SET mailbox = email WHERE length(CAST(email AS BLOB)) = length(email);

CREATE UNIQUE INDEX users_mailbox_key ON users (mailbox) WHERE mailbox IS NOT NULL;

-- Few: those that are left to be filled in.
CREATE INDEX users_without_mailbox ON users (id) WHERE mailbox IS NULL;
