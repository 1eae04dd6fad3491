-- The revocation journal: every revocation, written down before it is acknowledged, so that a token
-- store that went back in time can be told again what it has forgotten.
CREATE TABLE journal (
    -- 0 to 63: the user's id modulo 64; 64: what is no user's.
    partition INTEGER NOT NULL,
    -- Counts the partition's entries in the order of their commits; none is left out.
    position  INTEGER NOT NULL,
    -- A random number that no other entry has: after a restored backup another entry can come to
    -- stand at the same position.
    entry     INTEGER NOT NULL UNIQUE,
    -- The entry before it: each names its history, so that one which was restored is told by a look at
    -- its last entry.
    previous  INTEGER NOT NULL,
    -- session: of `subject`. user: everything of before `version`. token: the access token `subject`.
    kind      TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'token')),
    -- NULL: a machine's token.
    user_id   INTEGER,
    subject   TEXT,
    version   INTEGER,
    -- Until when it matters. Milliseconds since the Unix epoch, from the application's clock.
    until     INTEGER NOT NULL,
    PRIMARY KEY (partition, position)
) STRICT, WITHOUT ROWID;

-- What is pruned, by its time.
CREATE INDEX journal_by_end ON journal (until);

-- Where each partition stands. A row is locked only within the statement that gives a position.
CREATE TABLE journal_heads (
    partition   INTEGER PRIMARY KEY CHECK (partition BETWEEN 0 AND 64),
    position    INTEGER NOT NULL DEFAULT 0,
    entry       INTEGER NOT NULL DEFAULT 0,
    previous    INTEGER NOT NULL DEFAULT 0,
    -- One more, at least, with each loss of the token store's data; 0: it has had none yet.
    incarnation INTEGER NOT NULL DEFAULT 0
) STRICT;
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 64)
INSERT INTO journal_heads (partition) SELECT n FROM numbers;

-- Positions whose history is not known any more, since this database was restored.
CREATE TABLE journal_holes (
    partition INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    PRIMARY KEY (partition, first)
) STRICT, WITHOUT ROWID;

-- What holds for all who read the journal.
CREATE TABLE journal_readers (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    -- The longest that any replica has ever answered from a copy of the feed, ms.
    mirror_staleness INTEGER NOT NULL
) STRICT;
INSERT INTO journal_readers (id, mirror_staleness) VALUES (1, 0);

-- A cut-off that is owed stands in the journal from now on.
DROP INDEX users_owed_a_cut_off;
ALTER TABLE users DROP COLUMN cut_off_version;
DROP TABLE deleted_users;
