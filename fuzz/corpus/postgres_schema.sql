DROP SCHEMA IF EXISTS cabrank_fuzz CASCADE;
CREATE SCHEMA cabrank_fuzz;
SET search_path = cabrank_fuzz;
CREATE TABLE t (a int UNIQUE, b text);
CREATE TABLE u (id int, sets int);
INSERT INTO t VALUES (1, 'x'), (2, 'y');
INSERT INTO u VALUES (1, 1);
CREATE SEQUENCE s;
-- Functions whose names look like something else: each soils the session.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sets', 'join', 'limit', 'filter', 'over', 'insert', 'merge', 'Lower', 'conflict', 'materialized',
        'stdout', 'key', 'value', 'select', 'where', 'partition', 'set', 'like', 'escape', 'lateral', 'rows', 'within', 'copy', 'local',
        'transaction']
    LOOP
        EXECUTE format('CREATE FUNCTION %I(int DEFAULT 1, int DEFAULT 1) RETURNS int LANGUAGE sql AS
            ''SELECT length(set_config(''''work_mem'''', ''''1MB'''', false))''', name);
    END LOOP;
END $$;
CREATE FUNCTION fingerprint() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        SELECT 'setting ' || name || ' ' || setting FROM pg_catalog.pg_settings
            WHERE name NOT LIKE 'transaction%' AND name NOT LIKE 'plpgsql.%'
        -- Settings that nobody has declared are not listed there.
        UNION ALL SELECT 'setting ' || name || ' ' || current_setting(name, true) FROM unnest(ARRAY['local.x', 'transaction.x']) name
            WHERE current_setting(name, true) <> ''
        UNION ALL SELECT 'role ' || current_user || ' ' || session_user
        UNION ALL SELECT 'lock ' || locktype || ' ' || mode FROM pg_catalog.pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'
        UNION ALL SELECT 'temporary ' || relname FROM pg_catalog.pg_class WHERE relnamespace = pg_my_temp_schema()
        UNION ALL SELECT 'cursor ' || name FROM pg_catalog.pg_cursors WHERE is_holdable
        UNION ALL SELECT 'prepared ' || name FROM pg_catalog.pg_prepared_statements WHERE from_sql
        UNION ALL SELECT 'channel ' || pg_listening_channels();
    BEGIN
        RETURN NEXT 'sequence ' || lastval();
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        NULL;
    END;
END $$;
