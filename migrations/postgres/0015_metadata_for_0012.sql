-- What administrators note down about an account or a client, a JSON object without white space; NULL: nothing. The service
-- alone reads it.
ALTER TABLE users ADD COLUMN metadata TEXT;
ALTER TABLE clients ADD COLUMN metadata TEXT;

-- Those whose tokens may be longer than others', which are looked at when the service starts.
CREATE INDEX users_with_more_in_tokens ON users (id) WHERE metadata IS NOT NULL OR roles IS NOT NULL;
