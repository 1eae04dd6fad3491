-- The audit log: what happened to accounts, sessions and tokens. It names ids only; no secret and no
-- e-mail address is ever written here.
CREATE TABLE audit_log (
    -- AUTOINCREMENT: the newest entry has the greatest id, also after entries were pruned.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A UUID that the writer makes up: a batch that is sent again after its answer was lost is
    -- kept once.
    event      TEXT    NOT NULL UNIQUE,
    -- Milliseconds since the Unix epoch, from the application's clock, when it happened; entries
    -- are written a moment later, so their ids need not be in this order to the millisecond.
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    -- Who: `user:7`, `client:…`, `operator`, `service`, `anonymous`.
    actor      TEXT    NOT NULL,
    -- On whom. No foreign key: the log outlives the account.
    user_id    INTEGER,
    session_id TEXT,
    token_id   TEXT,
    address    TEXT,
    reason     TEXT,
    -- The client or the signing key that it is about, by its id.
    object     TEXT,
    -- How many sessions it ended, or accounts it brought.
    count      INTEGER
) STRICT;

-- What is searched by, each newest first.
CREATE INDEX audit_log_by_user ON audit_log (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_by_actor ON audit_log (actor, id);
CREATE INDEX audit_log_by_session ON audit_log (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_log_by_token ON audit_log (token_id, id) WHERE token_id IS NOT NULL;
CREATE INDEX audit_log_by_action ON audit_log (action, id);
CREATE INDEX audit_log_by_reason ON audit_log (reason, id) WHERE reason IS NOT NULL;
CREATE INDEX audit_log_by_time ON audit_log (at);

-- Up to when entries may have been pruned: the log is whole from then on.
CREATE TABLE audit_log_horizon (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO audit_log_horizon (id, at) VALUES (1, 0);

-- Append-only: what is written stays as it is, and goes only when its time is over.
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_log_is_not_cut BEFORE DELETE ON audit_log
WHEN OLD.at >= (SELECT at FROM audit_log_horizon)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_log_horizon_moves_on BEFORE UPDATE ON audit_log_horizon
WHEN NEW.at < OLD.at OR NEW.id <> 1
BEGIN
    SELECT RAISE(ABORT, 'what was pruned does not come back');
END;
CREATE TRIGGER audit_log_horizon_stays BEFORE DELETE ON audit_log_horizon
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
