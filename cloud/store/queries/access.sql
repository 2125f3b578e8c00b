-- key --
-- Who a key speaks for. Revoked and expired keys and keys of people who left are no keys.
SELECT k.key_id, k.digest, k.scopes, p.person_id, p.name AS person_name,
       c.company_id, c.code, c.name, c.currency, c.minor_digits, c.time_zone, c.profile,
       EXISTS (SELECT 1 FROM person_roles r
                WHERE r.person_id = p.person_id AND r.role = ANY(c.soft_close_roles)) AS posts_soft_closed
  FROM api_keys k JOIN people p USING (person_id) JOIN companies c USING (company_id)
 WHERE k.key_id = %(key_id)s AND k.revoked_at IS NULL AND p.active
   AND (k.expires_at IS NULL OR k.expires_at > now())

-- add_key --
-- Only the digest of the secret half is kept.
INSERT INTO api_keys (key_id, digest, person_id, scopes, expires_at)
VALUES (%(key_id)s, %(digest)s, %(person)s, %(scopes)s, %(expires_at)s) RETURNING made_at

-- keys --
-- The public halves of a company's keys.
SELECT k.key_id, k.person_id, p.name AS person_name, k.scopes, k.made_at, k.expires_at, k.revoked_at
  FROM api_keys k JOIN people p USING (person_id)
 WHERE p.company_id = %(company)s AND k.key_id > %(after)s ORDER BY k.key_id LIMIT %(limit)s

-- revoke_key --
-- A key of the caller's own company; a second time changes nothing and still returns the row.
UPDATE api_keys k SET revoked_at = coalesce(k.revoked_at, now()) FROM people p
 WHERE p.person_id = k.person_id AND p.company_id = %(company)s AND k.key_id = %(key_id)s
RETURNING k.key_id, k.person_id, p.name AS person_name, k.scopes, k.made_at, k.expires_at, k.revoked_at

-- person --
-- One person of a company.
SELECT p.person_id, p.name, p.language, p.contacts, p.sign_in, p.active,
       ARRAY(SELECT r.role FROM person_roles r WHERE r.person_id = p.person_id ORDER BY r.role) AS roles
  FROM people p WHERE p.company_id = %(company)s AND p.person_id = %(person)s

-- people --
-- The people of a company, without what they sign in with.
SELECT p.person_id, p.name, p.language, p.contacts, p.sign_in, p.active,
       ARRAY(SELECT r.role FROM person_roles r WHERE r.person_id = p.person_id ORDER BY r.role) AS roles
  FROM people p WHERE p.company_id = %(company)s AND p.person_id > %(after)s
 ORDER BY p.person_id LIMIT %(limit)s

-- add_person --
-- The password is an argon2id hash, or null for somebody who does not sign in.
INSERT INTO people (company_id, name, language, contacts, sign_in, password)
VALUES (%(company)s, %(name)s, %(language)s, %(contacts)s, %(sign_in)s, %(password)s) RETURNING person_id

-- add_roles --
-- What a person is in the house.
INSERT INTO person_roles (person_id, role) SELECT %(person)s, unnest(%(roles)s::text[]) ON CONFLICT DO NOTHING

-- set_sign_in --
-- Give a person who has none a name and a password to sign in with.
UPDATE people SET sign_in = %(sign_in)s, password = %(password)s WHERE person_id = %(person)s

-- set_password --
-- A new hash of the same password, when the cost of hashing was raised.
UPDATE people SET password = %(password)s WHERE person_id = %(person)s

-- by_sign_in --
-- The person behind a sign-in name; people who left cannot sign in.
SELECT p.person_id, p.password FROM people p
 WHERE p.sign_in = %(sign_in)s AND p.active AND p.password IS NOT NULL

-- add_session --
-- The cookie itself is never stored.
INSERT INTO sessions (digest, person_id, expires_at)
VALUES (%(digest)s, %(person)s, now() + %(lifetime_s)s * interval '1 second')

-- session --
-- The person who signed in with this cookie, while the session lasts.
SELECT p.person_id, p.name AS person_name, p.language,
       c.company_id, c.code, c.name, c.currency, c.minor_digits, c.time_zone, c.profile
  FROM sessions s JOIN people p USING (person_id) JOIN companies c USING (company_id)
 WHERE s.digest = %(digest)s AND s.expires_at > now() AND p.active

-- end_session --
-- Sign out.
DELETE FROM sessions WHERE digest = %(digest)s

-- forget_sessions --
-- Sessions that ended; done at each sign-in, so that the table stays as small as the house.
DELETE FROM sessions WHERE expires_at <= now()

-- hold_first_access --
-- Two programs that start at once must not both make a first key. The number is arbitrary and ours.
SELECT pg_advisory_xact_lock(2058002951)

-- company_without_key --
-- The first company that nobody has ever had a key for.
SELECT c.company_id FROM companies c
 WHERE NOT EXISTS (SELECT FROM api_keys k JOIN people p USING (person_id) WHERE p.company_id = c.company_id)
 ORDER BY c.company_id LIMIT 1

-- company_without_sign_in --
-- The first company of which nobody can sign in.
SELECT c.company_id, c.code FROM companies c
 WHERE NOT EXISTS (SELECT FROM people p WHERE p.company_id = c.company_id AND p.password IS NOT NULL)
 ORDER BY c.company_id LIMIT 1

-- first_admin --
-- The admin who was made first and has no sign-in yet.
SELECT p.person_id FROM people p JOIN person_roles r USING (person_id)
 WHERE p.company_id = %(company)s AND r.role = 'admin' AND p.active AND p.sign_in IS NULL
 ORDER BY p.person_id LIMIT 1

-- sign_in_taken --
-- Sign-in names are unique over all companies: the page asks for nothing else.
SELECT EXISTS (SELECT FROM people WHERE sign_in = %(sign_in)s)
