-- refusals --
-- Promise 3: append-only tables that have lost a trigger, and rights that no service may have.
SELECT count(*) FROM unnest(%(tables)s::text[]) t (name)
 WHERE (SELECT count(*) FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
         WHERE g.tgrelid = t.name::regclass AND f.proname = 'refuse_change' AND g.tgenabled <> 'D') < 2
    OR EXISTS (SELECT 1 FROM unnest(%(roles)s::text[]) r (role)
                WHERE has_table_privilege(r.role, t.name, 'UPDATE') OR has_table_privilege(r.role, t.name, 'DELETE')
                   OR has_table_privilege(r.role, t.name, 'TRUNCATE')
                   OR pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = t.name::regclass)) = r.role)
