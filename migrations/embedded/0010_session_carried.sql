-- What a session carries and no statement decides by is one text (domain/session_carried.rs): a claim that is added
-- to it needs no column. What is not known of a session is absent from the text.

ALTER TABLE sessions ADD COLUMN carried TEXT NOT NULL DEFAULT '{}';

-- json_patch() leaves out what is NULL.
UPDATE sessions SET carried = json_patch(
    CASE email_verified WHEN 1 THEN '{"v":true}' ELSE '{}' END,
    json_object('e', email, 'r', role, 'a', address, 'u', user_agent, 'c', client)
);

ALTER TABLE sessions DROP COLUMN email;
ALTER TABLE sessions DROP COLUMN role;
ALTER TABLE sessions DROP COLUMN address;
ALTER TABLE sessions DROP COLUMN user_agent;
ALTER TABLE sessions DROP COLUMN client;
ALTER TABLE sessions DROP COLUMN email_verified;
