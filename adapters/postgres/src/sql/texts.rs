//! The result of the scan for particular texts.

use super::{Effect, effect};

#[test]
fn usual_statements_are_harmless() {
    for text in [
        "",
        ";",
        "SELECT 1",
        "select a.b, count(*), max(x) filter (where y) over (partition by z) from t a join u using (id)",
        "SELECT pg_catalog.lower('X'), \"lower\"('Y'), Now()",
        "INSERT INTO t (a, b) VALUES ($1, $2), ('x', now()) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING id",
        "INSERT INTO s.t AS x (a) SELECT f FROM u",
        "UPDATE t SET a = 1, b = (2) WHERE c IN (1, 2) AND EXISTS (SELECT 1)",
        "SELECT a FROM t JOIN (SELECT 1 AS x) u ON (t.a = u.x) LEFT JOIN (SELECT 2) v ON true GROUP BY (a), (b) ORDER BY (a)",
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
        "DELETE FROM t WHERE created < now() - interval '1 day'",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a ON CONFLICT (id) DO NOTHING",
        "WITH a AS (INSERT INTO t VALUES (1) RETURNING id), b AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a JOIN (SELECT 1) c ON true",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FILTER (WHERE y) OVER (w) FROM t",
        "SELECT a.id FROM account a JOIN (SELECT 1) b ON true CROSS JOIN (SELECT 2) c",
        "COPY t FROM stdin (FORMAT csv)",
        "MERGE INTO t USING u ON (t.id = u.id) WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n AS m(j)",
        "COPY t (a, b) FROM STDIN WITH (FORMAT csv)",
        "COPY (SELECT a FROM t) TO STDOUT",
        "BEGIN; SET LOCAL statement_timeout = 1; SET TRANSACTION READ ONLY; COMMIT",
        "SELECT 'set_config(1)', E'it\\'s pg_advisory_lock(1)', $$ INTO $$, $a$ CREATE $b$ $a$ -- EXECUTE\n /* f( /* g( */ */",
        "SELECT x::numeric(10, 2), cast(y AS varchar(3)), z::s.kind(4)",
        "SELECT a->>'b', c @> '{1}', $1::int, 1.5e3, b'1', x'ff', n'n' FROM t",
        "LOCK TABLE t IN EXCLUSIVE MODE",
    ] {
        assert!(effect(text.as_bytes()) < Effect::Session, "{text}");
    }
}

#[test]
fn whatever_may_change_a_session_is_not_harmless() {
    for text in [
        // Settings may have these names.
        "SET local.tenant = '42'",
        "SET LOCAL.tenant TO 42",
        "SET transaction.x = 1",
        "set constraints /* */ . x = 1",
        // Columns may have these names, without AS.
        "SELECT count(*) AS merge INTO TEMP leak FROM pg_class",
        "SELECT 1 AS insert INTO TEMP leak",
        "SELECT 1 merge INTO TEMP leak",
        "SELECT (1) insert INTO TEMP leak",
        "WITH a AS (SELECT 1) SELECT (1) insert INTO TEMP leak",
        "INSERT INTO t SELECT 1; SELECT 1 insert INTO TEMP leak",
        // User functions may have these names.
        "SELECT \"limit\"(1)",
        "SELECT \"where\"(1)",
        "SELECT DISTINCT ON (1) filter(1)",
        "SELECT DISTINCT ON (1) join(1)",
        "SELECT (1) over(1)",
        "SELECT 'a' LIKE join(1)",
        "SELECT a ILIKE join(1) FROM t",
        "SELECT 'a' SIMILAR TO join(1)",
        "SELECT substring('a' FROM b FOR join(1)) FROM t",
        "SELECT * FROM a CROSS JOIN join(1)",
        "SELECT CASE WHEN true THEN insert(1) END",
        "MERGE INTO t USING u ON CASE WHEN true THEN insert(1) END WHEN MATCHED THEN DELETE",
        "MERGE INTO t USING u ON conflict(1) WHEN MATCHED THEN DELETE",
        "SELECT * FROM a JOIN b ON conflict(1)",
        "INSERT INTO t SELECT * FROM a JOIN b ON conflict(1)",
        "SELECT NOT materialized(1)",
        "SELECT * FROM stdin(1)",
        "COPY (SELECT * FROM stdin(1)) TO STDOUT",
        "SELECT json_object(KEY join(1) VALUE join(1))",
        "SELECT x) + (1",
        "SELECT sets()",
        "SELECT a, sets() FROM t",
        "SELECT join(1)",
        "SELECT a FROM t ORDER BY join(1)",
        "SELECT a FROM t WHERE a LIKE b ESCAPE join(1)",
        "SELECT filter(1)",
        "SELECT over(1)",
        "SELECT copy(1)",
        "SELECT set(1)",
        "SELECT insert(1)",
        "SELECT partition(1)",
        "SELECT timestamptz(1)",
        "SELECT like(1)",
        "SELECT set_config('a', 'b', false)",
        "SELECT SET_CONFIG ('a', 'b', false)",
        "SELECT pg_catalog.set_config/**/('a', 'b', false)",
        "SELECT \"set_config\"('a', 'b', false)",
        "SELECT mine.lower('x')",
        // In quotes the case of letters counts.
        "SELECT \"PG_CATALOG\".lower('x')",
        "SELECT \"pg_Catalog\".\"lower\"('x')",
        "SELECT db.pg_catalog.lower('x')",
        "SELECT of_my_own()",
        "SELECT \"Lower\"('x')",
        "SELECT nextval('s')",
        "SELECT 1 INTO t",
        "SELECT 1 AS x INTO TEMP t FROM u",
        "CREATE TEMP TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "EXECUTE p",
        "DO $$ BEGIN NULL; END $$",
        "SELECT 1; do language plpgsql 'BEGIN NULL; END'",
        "UPDATE pg_settings SET setting = 1",
        "UPDATE pg_catalog.\"pg_settings\" SET setting = 1",
        "SET x = 1",
        "SET SESSION x = 1",
        "set /* LOCAL */ x = 1",
        "BEGIN; SET LOCAL x = 1; COMMIT; SET x = 1",
        "SET LOCAL seed = 0.5",
        "SET LOCAL \"seed\" TO 0.5",
        "SELECT 1; SET x = 1",
        "SET \"local\".x = 1",
        "SELECT U&'\\0061'",
        "SELECT 'a\\'",
        "SELECT 'open",
        "SELECT \"open",
        "SELECT $a$ open",
        "SELECT /* open",
        "SELECT E'open\\'",
        "SELECT a\0b",
    ] {
        assert_eq!(effect(text.as_bytes()), Effect::Session, "{text}");
    }
    // Spelt by numbers, so it may be any name.
    assert_eq!(effect(br#"SELECT U&"pg\005fsettings""#), Effect::Lasting);
}
