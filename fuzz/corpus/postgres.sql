SELECT a . b , count ( * ) , max ( x ) FILTER ( WHERE y ) OVER ( PARTITION BY z ) FROM t a JOIN u USING ( id )
INSERT INTO t ( a , b ) VALUES ( 1 , 'x' ) , ( 2 , lower ( 'Y' ) ) ON CONFLICT ( a ) DO UPDATE SET b = excluded . b RETURNING a
UPDATE t SET b = 'it''s' , a = ( 2 ) WHERE a IN ( 1 , 2 ) AND EXISTS ( SELECT 1 )
WITH x AS ( INSERT INTO t VALUES ( 3 ) RETURNING a ) , y AS NOT MATERIALIZED ( SELECT 2 ) SELECT * FROM x JOIN ( SELECT 1 ) c ON true
SELECT percentile_cont ( 0.5 ) WITHIN GROUP ( ORDER BY a ) FILTER ( WHERE a > 0 ) FROM t
MERGE INTO t USING u ON ( t . a = u . id ) WHEN NOT MATCHED THEN INSERT ( a ) VALUES ( u . id )
WITH RECURSIVE n ( i ) AS ( SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3 ) SELECT * FROM n AS m ( j )
COPY ( SELECT a FROM t ) TO STDOUT
BEGIN ; SET LOCAL statement_timeout = 1000 ; SET TRANSACTION READ ONLY ; COMMIT
SELECT 'set_config(1)' , E'it\'s pg_advisory_lock(1)' , $$ INTO $$ , $a$ CREATE $b$ $a$ -- EXECUTE
SELECT CASE WHEN a > 1 THEN b ELSE 'x' END FROM t ORDER BY a LIMIT 1
SELECT DISTINCT ON ( a ) a , b FROM t GROUP BY GROUPING SETS ( ( a , b ) , ( ) )
SELECT a INTO TEMP leak FROM t
SELECT set_config ( 'work_mem' , '1MB' , false )
SELECT pg_advisory_lock ( 7 )
SELECT nextval ( 's' )
CREATE TEMP TABLE leak AS SELECT 1
PREPARE p AS SELECT 1
LISTEN gossip
DECLARE c CURSOR WITH HOLD FOR SELECT 1
EXPLAIN ANALYZE CREATE TEMP TABLE leak AS SELECT 1
SET work_mem = '1MB'
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
DO $$ BEGIN PERFORM set_config ( 'work_mem' , '1MB' , false ) ; END $$
UPDATE pg_settings SET setting = '1MB' WHERE name = 'work_mem'
SAVEPOINT a ; RELEASE a ; ROLLBACK TO a
LOCK TABLE t IN EXCLUSIVE MODE
SELECT x :: numeric ( 10 , 2 ) , cast ( y AS varchar ( 3 ) ) FROM ( VALUES ( 1 , 'a' ) ) v ( x , y )
SELECT * FROM a CROSS JOIN join ( 1 )
