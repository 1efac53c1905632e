//! The scan of arbitrary texts: it never panics, and no quotes hide a call or pass for one.
//!
//! `PROPTEST_CASES` sets the number of cases.

use super::{Effect, effect};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_can_be_scanned(text in vec(any::<u8>(), 0..200)) {
        effect(&text);
    }

    /// A call outside of quotes is detected, whatever surrounds it.
    #[test]
    fn a_call_in_the_open_is_never_missed(before in fragments(), after in fragments()) {
        let text = format!("SELECT {before} set_config('work_mem', '1MB', false) {after}");
        prop_assert_eq!(effect(text.as_bytes()), Effect::Session, "{}", text);
    }

    /// Text in quotes or comments costs nothing.
    #[test]
    fn what_is_quoted_is_not_called(around in fragments()) {
        let text = format!("SELECT {around} 'set_config(1)' {around} , $x$ pg_advisory_lock(1) $x$ -- INTO x()\n {around}");
        prop_assert!(effect(text.as_bytes()) < Effect::Session, "{text}");
    }
}

/// Each is closed, so it does not quote the text after it.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("'it''s'"),
        Just(r"E'\''"),
        Just(r"e'\\'"),
        Just("\"a\"\"b\""),
        Just("/* ' /* \" */ $ */"),
        Just("-- it's\n"),
        Just("$$ ' $$"),
        Just("$a$ $b$ ' $b$ $a$"),
        Just("$1"),
        Just("1.5"),
        Just("x'0a'"),
        Just("a.b"),
        Just("::text"),
        Just(","),
        Just("+"),
        Just("lower(x)"),
        Just("a$b$c"),
    ];
    vec(fragment, 0..6).prop_map(|fragments| fragments.join(" "))
}
