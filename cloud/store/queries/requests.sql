-- lock_key --
-- Held to the end of the transaction; two requests with one key come one after the other.
SELECT pg_advisory_xact_lock(%(company)s, hashtext(%(key)s))

-- answer --
-- What was answered the first time.
SELECT digest, answer FROM cloud_requests WHERE company_id = %(company)s AND key = %(key)s

-- record --
-- Written in the transaction of its effects.
INSERT INTO cloud_requests (company_id, key, digest, answer)
VALUES (%(company)s, %(key)s, %(digest)s, %(answer)s)
