-- The revocation journal: every revocation, written down before it is acknowledged, so that a token
-- store that went back in time can be told again what it has forgotten.
CREATE TABLE journal (
    -- 0 to 63: the user's id modulo 64; 64: what is no user's.
    partition SMALLINT NOT NULL,
    -- Counts the partition's entries in the order of their commits; none is left out.
    position  BIGINT  NOT NULL,
    -- A random number that no other entry has: after a restored backup another entry can come to
    -- stand at the same position.
    entry     BIGINT  NOT NULL UNIQUE,
    -- The entry before it: each names its history, so that one which was restored is told by a look at
    -- its last entry.
    previous  BIGINT  NOT NULL,
    -- session: of `subject`. user: everything of before `version`. token: the access token `subject`.
    kind      TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'token')),
    -- NULL: a machine's token.
    user_id   BIGINT,
    subject   TEXT,
    version   BIGINT,
    -- Until when it matters. Milliseconds since the Unix epoch, from the application's clock.
    until     BIGINT  NOT NULL,
    PRIMARY KEY (partition, position)
);

-- What is pruned, by its time.
CREATE INDEX journal_by_end ON journal (until);

-- Where each partition stands. A row is locked only within the statement that gives a position.
CREATE TABLE journal_heads (
    partition   SMALLINT PRIMARY KEY CHECK (partition BETWEEN 0 AND 64),
    position    BIGINT  NOT NULL DEFAULT 0,
    entry       BIGINT  NOT NULL DEFAULT 0,
    previous    BIGINT  NOT NULL DEFAULT 0,
    -- One more, at least, with each loss of the token store's data; 0: it has had none yet.
    incarnation BIGINT  NOT NULL DEFAULT 0
);
INSERT INTO journal_heads (partition) SELECT generate_series(0, 64);

-- Positions whose history is not known any more, since this database was restored.
CREATE TABLE journal_holes (
    partition SMALLINT NOT NULL,
    first     BIGINT  NOT NULL,
    last      BIGINT  NOT NULL,
    PRIMARY KEY (partition, first)
);

-- What holds for all who read the journal.
CREATE TABLE journal_readers (
    id               SMALLINT PRIMARY KEY CHECK (id = 1),
    -- The longest that any replica has ever answered from a copy of the feed, ms.
    mirror_staleness BIGINT  NOT NULL
);
INSERT INTO journal_readers (id, mirror_staleness) VALUES (1, 0);

-- A cut-off that is owed stands in the journal from now on.
DROP INDEX users_owed_a_cut_off;
ALTER TABLE users DROP COLUMN cut_off_version;
DROP TABLE deleted_users;
