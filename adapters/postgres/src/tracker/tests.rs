//! The tracker's state after particular conversations.

use super::{End, Tracker};
use crate::sql::Effect;
use cabrank::SessionState;
use cabrank::SessionState::{BeyondReset, Clean, InTransaction, Unknown};

/// Both ends of a conversation, and the tracker that reads it.
struct Talk(Tracker);

impl Talk {
    /// As after connecting.
    fn new() -> Self {
        let mut talk = Self(Tracker::new());
        talk.0.wrote(&[0, 0, 0, 8, 0, 3, 0, 0]);
        talk.read(b'S', b"TimeZone\0UTC\0").read(b'K', &[0, 0, 1, 1, 7, 7, 7, 7]).read(b'Z', b"I");
        talk.0.start_tracking();
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

    /// Everything that the execution of a statement sends.
    fn execute(&mut self, name: &str) -> &mut Self {
        self.wrote(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes()).wrote(b'E', b"\0\0\0\0\0").wrote(b'S', b"")
    }

    fn done(&mut self, tag: &str) -> &mut Self {
        self.read(b'C', format!("{tag}\0").as_bytes()).read(b'Z', b"I")
    }

    fn session(&self) -> SessionState {
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
        talk.0.start_tracking();
        assert_eq!(talk.session(), Clean);
    }
    talk.wrote(b'C', b"Sgood\0").wrote(b'S', b"").read(b'3', b"").read(b'Z', b"I");
    assert_eq!(talk.execute("good").done("SELECT 1").session(), Unknown, "unknown outcome");
}

/// The server may have ignored the second `Parse`, and still hold the first text.
#[test]
fn a_second_parse_of_a_name_does_not_make_it_better() {
    let mut talk = Talk::new();
    talk.prepare("", "SELECT of_my_own()").prepare("", "SELECT 1");
    assert_eq!(talk.execute("").done("SELECT 1").session(), Unknown);
    talk.0.start_tracking();
    assert_eq!(talk.execute("").done("SELECT 1").session(), Unknown, "what the last holder left under no name");
    talk.0.start_tracking();
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
}

#[test]
fn a_setting_for_the_transaction_ends_with_it() {
    let mut talk = Talk::new();
    talk.wrote(b'Q', b"BEGIN\0").read(b'C', b"BEGIN\0").read(b'Z', b"T");
    talk.wrote(b'Q', b"SET LOCAL search_path TO x\0").read(b'C', b"SET\0").read(b'Z', b"T");
    assert_eq!(talk.0.effect(), Effect::Transaction);
    talk.wrote(b'Q', b"COMMIT\0").read(b'C', b"COMMIT\0").read(b'Z', b"I");
    assert_eq!((talk.0.effect(), talk.session()), (Effect::None, Clean));
}

#[test]
fn statements_that_the_server_has_forgotten_cost_the_connection() {
    for tag in ["DEALLOCATE ALL", "DISCARD ALL"] {
        let mut talk = Talk::new();
        talk.wrote(b'Q', b"DO\0").done(tag);
        assert_eq!((talk.session(), talk.0.session(true)), (BeyondReset, BeyondReset), "{tag}");
    }
    let mut talk = Talk::new();
    talk.prepare("s1", "SELECT 1").execute("s1").read(b'E', b"SERROR\0VERROR\0C26000\0\0").read(b'Z', b"I");
    assert_eq!((talk.session(), talk.0.end()), (BeyondReset, None));
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
    talk.0.start_tracking();
    assert_eq!(talk.session(), Unknown, "forever");
}

#[test]
fn a_statement_is_stale_if_the_server_refuses_to_bind_it_for_the_schemas_sake() {
    let error = |code: &str| format!("SERROR\0VERROR\0C{code}\0\0").into_bytes();
    for (code, stale) in [
        ("0A000", true),
        ("XX000", true),
        ("42883", true),
        ("42804", true),
        ("26000", true),
        ("42501", false),
        ("22P02", false),
        ("57014", false),
    ] {
        let mut talk = Talk::new();
        talk.prepare("s1", "SELECT 1").execute("s1").read(b'E', &error(code)).read(b'Z', b"I");
        assert_eq!((talk.0.takes_stale(), talk.0.takes_stale()), (stale, false), "{code}");
    }
    let mut talk = Talk::new();
    talk.prepare("s1", "SELECT f()").execute("s1").read(b'2', b"").read(b'E', &error("42883")).read(b'Z', b"I");
    assert!(!talk.0.takes_stale(), "the function's own error");
    talk.wrote(b'P', b"s2\0no SQL\0\0\0").wrote(b'S', b"").read(b'E', &error("42601")).read(b'Z', b"I");
    talk.wrote(b'Q', b"SELECT f()\0").read(b'E', &error("42883")).read(b'Z', b"I");
    assert!(!talk.0.takes_stale(), "these were never prepared");
    talk.execute("s1").read(b'E', &error("0A000")).read(b'Z', b"I");
    assert!(talk.0.takes_stale(), "what was bound before counts no more");
}

#[test]
fn the_statements_that_the_server_has_are_counted() {
    let mut talk = Talk::new();
    talk.prepare("s1", "SELECT 1").prepare("s2", "SELECT 2").prepare("", "SELECT 3");
    talk.wrote(b'P', b"s3\0no SQL\0\0\0").wrote(b'S', b"").read(b'E', b"SERROR\0VERROR\0C42601\0\0").read(b'Z', b"I");
    assert_eq!(talk.0.prepared(), 2, "one was refused, and one has no name");
    talk.wrote(b'C', b"Ss1\0").wrote(b'S', b"");
    assert_eq!(talk.0.prepared(), 1);
    assert_eq!(talk.prepare("s4", "SELECT 4").0.prepared(), 2, "the answers are told apart");
}

#[test]
fn a_connection_is_busy_until_what_was_asked_has_come_to_its_end() {
    let mut talk = Talk::new();
    talk.prepare("s1", "SELECT 1").execute("s1").read(b'2', b"").read(b'D', b"row");
    assert!(talk.0.is_busy());
    assert!(!talk.read(b'C', b"SELECT 1\0").0.is_busy(), "only ReadyForQuery is due");
    talk.read(b'Z', b"I").wrote(b'Q', b"SELECT 1; SELECT 1/0\0").read(b'C', b"SELECT 1\0");
    assert!(talk.0.is_busy(), "there is more in the batch");
    assert!(!talk.read(b'E', b"SERROR\0VERROR\0C22012\0\0").0.is_busy());
    assert!(talk.execute("s1").0.is_busy(), "the next");
    talk.read(b'C', b"SELECT 1\0").read(b'Z', b"I").execute("s1").read(b'G', b"");
    assert!(talk.read(b'E', b"SERROR\0VERROR\0C22P02\0\0").0.is_busy(), "the client has to end a COPY that failed");
    assert!(!talk.read(b'Z', b"I").0.is_busy());
}
