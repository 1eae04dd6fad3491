-- Whether something was revoked already is looked up by what it is.

CREATE INDEX revocations_by_subject ON revocations (subject, kind);
