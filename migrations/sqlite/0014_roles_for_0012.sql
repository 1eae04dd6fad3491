-- All roles of an account, in their order with single spaces between; NULL: `role` is the only one. Programs that do not
-- know this column go by `role`, and so does what reads both: who may administer stands there alone.
ALTER TABLE users ADD COLUMN roles TEXT;

-- Most accounts have none. Counted at every start.
CREATE INDEX users_by_roles ON users (roles) WHERE roles IS NOT NULL;
