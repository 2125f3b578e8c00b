-- refusals --
-- Promise 3: append-only tables that have lost a trigger, tables of which any trigger is switched off, and rights that
-- no service may have: to change or own what is appended, to write the ends of the chains, or to own anything at all.
SELECT (SELECT count(*) FROM unnest(%(tables)s::text[]) t (name)
         WHERE (SELECT count(*) FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                 WHERE g.tgrelid = t.name::regclass AND f.proname = 'refuse_change' AND g.tgenabled <> 'D') < 2
            OR (t.name = ANY (%(chained)s::text[]) AND
                (SELECT count(*) FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = t.name::regclass AND f.proname IN ('chain_row', 'check_chain_end')
                    AND g.tgenabled <> 'D') < 2)
            OR EXISTS (SELECT 1 FROM unnest(%(roles)s::text[]) r (role)
                        WHERE has_any_column_privilege(r.role, t.name, 'UPDATE') OR has_table_privilege(r.role, t.name, 'DELETE')
                           OR has_table_privilege(r.role, t.name, 'TRUNCATE') OR has_table_privilege(r.role, t.name, 'TRIGGER')))
     + (SELECT count(*) FROM unnest(%(roles)s::text[]) r (role)
         WHERE has_any_column_privilege(r.role, 'chain_heads', 'INSERT, UPDATE') OR has_table_privilege(r.role, 'chain_heads', 'DELETE, TRUNCATE')
            OR EXISTS (SELECT FROM pg_class c WHERE pg_get_userbyid(c.relowner) = r.role AND c.relpersistence <> 't'))
     + (SELECT count(DISTINCT g.tgrelid) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
         WHERE c.relnamespace = 'public'::regnamespace AND g.tgenabled = 'D' AND NOT g.tgisinternal
           AND c.relname <> ALL (%(tables)s::text[]))
