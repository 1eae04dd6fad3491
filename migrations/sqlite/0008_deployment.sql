-- Which deployment of hallpass this database is that of. The application makes the id when it needs it
-- first; the keys in a Redis that others use as well begin with a mark that is made of it.
CREATE TABLE deployment (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    uuid             TEXT    NOT NULL CHECK (length(uuid) = 36)
) STRICT;
