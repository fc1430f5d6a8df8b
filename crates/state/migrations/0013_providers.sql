-- Users whom an OpenID Connect provider names. Issuer and subject are who they are; the name is only shown. They have no
-- password here: their column is empty, which is the hash of none.
ALTER TABLE users ADD COLUMN origin TEXT NOT NULL DEFAULT 'house';         -- house, oidc
ALTER TABLE users ADD COLUMN issuer TEXT;
ALTER TABLE users ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject);
