//! What the reader makes of particular texts and conversations.

use super::sql::is_harmless;
use super::tracker::{End, Tracker};
use cabrank::Session::{self, Clean, InTransaction, Unknown};

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
        assert!(is_harmless(text.as_bytes()), "{text}");
    }
}

#[test]
fn whatever_may_change_a_session_is_not_harmless() {
    for text in [
        // Functions of the user's may have these names.
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
        "SELECT db.pg_catalog.lower('x')",
        "SELECT of_my_own()",
        "SELECT \"Lower\"('x')",
        "SELECT nextval('s')",
        "SELECT 1 INTO t",
        "SELECT 1 AS x INTO TEMP t FROM u",
        "CREATE TEMP TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "EXECUTE p",
        "UPDATE pg_settings SET setting = 1",
        "UPDATE pg_catalog.\"pg_settings\" SET setting = 1",
        "SET x = 1",
        "SET SESSION x = 1",
        "set /* LOCAL */ x = 1",
        "BEGIN; SET LOCAL x = 1; COMMIT; SET x = 1",
        "SELECT 1; SET x = 1",
        "SET \"local\".x = 1",
        "SELECT U&'\\0061'",
        "SELECT U&\"pg\\005fsettings\"",
        "SELECT 'a\\'",
        "SELECT 'open",
        "SELECT \"open",
        "SELECT $a$ open",
        "SELECT /* open",
        "SELECT E'open\\'",
        "SELECT a\0b",
    ] {
        assert!(!is_harmless(text.as_bytes()), "{text}");
    }
}

/// One end of a conversation, and what the tracker made of it.
struct Talk(Tracker);

impl Talk {
    /// As after connecting.
    fn new() -> Self {
        let mut talk = Self(Tracker::new());
        talk.0.wrote(&[0, 0, 0, 8, 0, 3, 0, 0]);
        talk.read(b'S', b"TimeZone\0UTC\0").read(b'K', &[0, 0, 1, 1, 7, 7, 7, 7]).read(b'Z', b"I");
        talk.0.rebase();
        talk
    }

    fn wrote(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.0.wrote(&message(tag, body));
        self
    }

    fn read(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.0.read(&message(tag, body));
        self
    }

    fn prepare(&mut self, name: &str, sql: &str) -> &mut Self {
        self.wrote(b'P', format!("{name}\0{sql}\0\0\0").as_bytes()).wrote(b'S', b"");
        self.read(b'1', b"").read(b'Z', b"I")
    }

    /// Everything that the execution of a statement writes.
    fn execute(&mut self, name: &str) -> &mut Self {
        self.wrote(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes()).wrote(b'E', b"\0\0\0\0\0").wrote(b'S', b"")
    }

    fn done(&mut self, tag: &str) -> &mut Self {
        self.read(b'C', format!("{tag}\0").as_bytes()).read(b'Z', b"I")
    }

    fn session(&self) -> Session {
        self.0.session(false)
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &length, body].concat()
}

#[test]
fn a_session_is_clean_once_connected_and_after_each_answer() {
    let mut talk = Talk::new();
    assert_eq!((talk.session(), talk.0.pid()), (Clean, Some(257)));
    talk.wrote(b'Q', b"SELECT 1\0");
    assert_eq!(talk.session(), Unknown, "not answered");
    assert_eq!(talk.done("SELECT 1").session(), Clean);
}

#[test]
fn a_transaction_shows_in_the_status() {
    let mut talk = Talk::new();
    talk.wrote(b'Q', b"BEGIN\0").read(b'C', b"BEGIN\0").read(b'Z', b"T");
    assert_eq!(talk.session(), InTransaction);
    talk.wrote(b'Q', b"SELECT 1/0\0").read(b'E', b"SERROR\0VERROR\0C22012\0\0");
    assert_eq!(talk.session(), Unknown, "the status lags behind the error");
    assert_eq!(talk.read(b'Z', b"E").session(), InTransaction);
}

#[test]
fn a_statements_verdict_lasts_from_parse_to_close() {
    let mut talk = Talk::new();
    talk.prepare("good", "SELECT 1").prepare("bad", "SELECT set_config('a', 'b', false)");
    assert_eq!(talk.session(), Clean, "preparing does nothing");
    for _ in 0..2 {
        assert_eq!(talk.execute("good").done("SELECT 1").session(), Clean);
        assert_eq!(talk.execute("bad").done("SELECT 1").session(), Unknown);
        talk.0.rebase();
        assert_eq!(talk.session(), Clean);
    }
    talk.wrote(b'C', b"Sgood\0").wrote(b'S', b"").read(b'3', b"").read(b'Z', b"I");
    assert_eq!(talk.execute("good").done("SELECT 1").session(), Unknown, "nobody knows what that was");
}

/// The server may have passed over the second `Parse`, and still hold the first text.
#[test]
fn a_second_parse_of_a_name_does_not_make_it_better() {
    let mut talk = Talk::new();
    talk.prepare("", "SELECT of_my_own()").prepare("", "SELECT 1");
    assert_eq!(talk.execute("").done("SELECT 1").session(), Unknown);
    talk.0.rebase();
    assert_eq!(talk.execute("").done("SELECT 1").session(), Unknown, "what the last holder left under no name");
    talk.0.rebase();
    assert_eq!(talk.prepare("", "SELECT 1").execute("").done("SELECT 1").session(), Clean);
}

#[test]
fn copy_in_swallows_a_sync() {
    let mut talk = Talk::new();
    talk.prepare("c", "COPY t FROM STDIN").execute("c").read(b'2', b"").read(b'G', &[0, 0, 0]);
    assert_eq!(talk.session(), Unknown, "in the middle of it");
    talk.wrote(b'd', b"1\n").wrote(b'c', b"").wrote(b'S', b"");
    assert_eq!(talk.session(), Unknown);
    assert_eq!(talk.done("COPY 1").session(), Clean);
    assert_eq!(talk.wrote(b'Q', b"SELECT 1\0").session(), Unknown, "the counts are right again");
    assert_eq!(talk.done("SELECT 1").session(), Clean);
}

#[test]
fn a_copy_in_that_fails_before_it_begins_swallows_nothing() {
    let mut talk = Talk::new();
    talk.prepare("c", "COPY t FROM STDIN").execute("c").read(b'E', b"SERROR\0VERROR\0C42P01\0\0").read(b'Z', b"I");
    assert_eq!(talk.session(), Clean);
}

#[test]
fn a_copy_in_begun_by_a_simple_query_ends_the_connection() {
    let mut talk = Talk::new();
    talk.wrote(b'Q', b"COPY t FROM STDIN\0").read(b'G', &[0, 0, 0]);
    assert_eq!((talk.session(), talk.0.end()), (Unknown, Some(End::StrayCopy)));
}

#[test]
fn letting_go_of_statements_does_not_unsettle() {
    let mut talk = Talk::new();
    talk.wrote(b'C', b"Ss1\0").wrote(b'S', b"").wrote(b'C', b"Ss2\0").wrote(b'S', b"");
    assert_eq!(talk.session(), Clean);
    talk.wrote(b'Q', b"BEGIN\0");
    assert_eq!(talk.session(), Unknown);
    talk.read(b'3', b"").read(b'Z', b"I").read(b'3', b"").read(b'Z', b"I");
    assert_eq!(talk.session(), Unknown, "those were not its answers");
    assert_eq!(talk.read(b'C', b"BEGIN\0").read(b'Z', b"T").session(), InTransaction);
}

#[test]
fn a_changed_setting_and_a_telling_tag_are_seen() {
    let mut talk = Talk::new();
    talk.wrote(b'Q', b"SELECT 1\0").read(b'S', b"TimeZone\0Asia/Tokyo\0").done("SELECT 1");
    assert_eq!(talk.session(), Unknown);
    assert_eq!(talk.0.session(true), Clean, "a transaction pooler's own affair");
    let mut talk = Talk::new();
    assert_eq!(talk.wrote(b'Q', b"LISTEN x\0").done("LISTEN").session(), Unknown);
    talk.wrote(b'Q', b"PREPARE p AS SELECT 1\0").done("PREPARE");
    assert!(talk.0.prepared_by_sql());
}

#[test]
fn a_fatal_error_ends_the_connection_whatever_the_servers_language() {
    let mut talk = Talk::new();
    talk.read(b'E', "SSCHWERWIEGEND\0VFATAL\0C57P01\0Mweg\0\0".as_bytes());
    assert_eq!(talk.0.end(), Some(End::Fatal(*b"57P01")));
}

#[test]
fn an_answer_to_nothing_and_an_impossible_length_make_the_session_unknown() {
    let mut talk = Talk::new();
    assert_eq!(talk.read(b'Z', b"I").session(), Unknown);
    talk.0.all_answered();
    assert_eq!(talk.session(), Clean, "after a reset");
    talk.0.read(&[b'D', 0, 0, 0, 3]);
    assert_eq!(talk.session(), Unknown);
    talk.0.all_answered();
    talk.0.rebase();
    assert_eq!(talk.session(), Unknown, "for ever");
}
