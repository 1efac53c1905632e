//! What the attempts at several servers came to: which of their errors is told, and whether it is worth trying them all again.
//!
//! Pure.

use super::ways::Way;
use crate::error::{OneRefused, provoke, root};
use crate::fault;
use crate::hosts::Place;
use cabrank::Fault;
use postgres::Error;
use std::io;

/// Of one round.
#[derive(Default)]
pub(super) struct Failures {
    /// What may pass. A wrong role comes before what else a server says, and that before trouble of the network; among equals the last.
    told: Option<Error>,
    /// What does not pass by itself, and where.
    refusal: Option<(Place, Error)>,
    silent: bool,
    heard: bool,
}

/// Did the server, or its machine, answer an attempt?
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// There was no attempt.
    Unasked,
    Silence,
    Heard,
}

impl Failures {
    pub(super) fn add(&mut self, way: &Way, error: Error, answer: Answer) {
        self.silent |= answer == Answer::Silence;
        self.heard |= answer == Answer::Heard;
        if fault::fault(&error) == Fault::Permanent {
            self.refusal = Some((way.place.clone(), error));
        } else if self.told.as_ref().is_none_or(|told| weight(told) <= weight(&error)) {
            self.told = Some(error);
        }
    }

    /// Some said nothing, and no one anything: with more patience they may be heard.
    pub(super) fn are_all_silent(&self) -> bool {
        self.silent && !self.heard
    }

    /// For good only if all have failed for good: otherwise the one that may come back counts, and the other is named beside it.
    pub(super) fn error(self) -> Error {
        match (self.told, self.refusal) {
            (Some(told), Some((place, refusal))) => {
                let text = format!("{}; the server {place} refuses for good: {}", root(&told), root(&refusal));
                provoke(io::Error::other(OneRefused { fault: fault::fault(&told), text }))
            }
            (Some(error), None) | (None, Some((_, error))) => error,
            (None, None) => provoke(io::ErrorKind::NotFound.into()),
        }
    }
}

fn weight(error: &Error) -> u8 {
    match fault::fault(error) {
        Fault::WrongRole => 2,
        _ if error.as_db_error().is_some() => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ways;
    use super::*;
    use crate::error::{RoleError, SettingsError};

    fn way(number: u8) -> Way {
        let settings = format!("host=10.0.0.{number}").parse().expect("settings");
        ways::find(&settings).expect("they make sense").remove(0)
    }

    fn of(errors: impl IntoIterator<Item = Error>) -> Failures {
        let mut failures = Failures::default();
        errors.into_iter().zip(1..).for_each(|(error, number)| failures.add(&way(number), error, Answer::Heard));
        failures
    }

    fn dead() -> Error {
        let refused = postgres::Config::new().host("127.0.0.1").port(1).user("x").connect(postgres::NoTls);
        refused.err().expect("nobody listens")
    }

    fn standby() -> Error {
        provoke(io::Error::other(RoleError("it is in recovery".into())))
    }

    fn refusing() -> Error {
        provoke(io::Error::other(SettingsError("no entry in pg_hba.conf")))
    }

    #[test]
    fn a_refusal_for_good_counts_only_if_there_is_nothing_else() {
        for errors in
            [[dead(), standby(), refusing()], [refusing(), standby(), dead()], [standby(), refusing(), dead()]]
        {
            let place =
                errors.iter().position(|error| fault::fault(error) == Fault::Permanent).expect("there is one") + 1;
            let error = of(errors).error();
            assert_eq!(fault::fault(&error), Fault::WrongRole);
            let text =
                format!("it is in recovery; the server 10.0.0.{place}:5432 refuses for good: no entry in pg_hba.conf");
            assert_eq!(root(&error), text);
        }
        let error = of([dead(), refusing()]).error();
        assert_eq!(fault::fault(&error), Fault::Unavailable, "{}", root(&error));
        let error = of([refusing(), refusing()]).error();
        assert_eq!((fault::fault(&error), root(&error).as_str()), (Fault::Permanent, "no entry in pg_hba.conf"));
    }

    #[test]
    fn a_wrong_role_comes_before_trouble_of_the_network_and_of_equals_the_last_is_told() {
        for errors in [[dead(), standby()], [standby(), dead()]] {
            assert_eq!(root(&of(errors).error()), "it is in recovery");
        }
        let broken = |text: &'static str| provoke(io::Error::other(text));
        assert_eq!(root(&of([broken("one"), broken("two")]).error()), "two");
    }

    #[test]
    fn all_are_silent_if_one_is_and_none_was_heard() {
        let round = |answers: &[Answer]| {
            let mut failures = Failures::default();
            answers.iter().for_each(|&answer| failures.add(&way(1), dead(), answer));
            failures.are_all_silent()
        };
        assert!(round(&[Answer::Silence, Answer::Unasked]));
        assert!(!round(&[Answer::Silence, Answer::Heard]));
        assert!(
            !round(&[Answer::Unasked, Answer::Unasked]),
            "a name that is not found would be asked for without a pause"
        );
    }
}
