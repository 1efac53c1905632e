//! Combines the failed attempts at several servers into one error, and decides whether to try them all again.
//!
//! Pure.

use super::ways::Way;
use crate::error::{SeveralFailed, provoke, root};
use crate::fault;
use crate::hosts::Place;
use cabrank::Fault;
use postgres::Error;
use std::cmp::Reverse;
use std::io;

#[derive(Default)]
pub(super) struct Failures {
    /// The last of each place, over all rounds.
    all: Vec<Failure>,
    /// In this round.
    silent: bool,
    heard: bool,
}

struct Failure {
    /// By its name in the settings, which may have several addresses.
    host: Place,
    /// With its address.
    place: String,
    error: Error,
    fault: Fault,
    answer: Answer,
}

/// Whether the server, or its machine, answered an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// There was no attempt.
    Unasked,
    Silence,
    Heard,
}

impl Failures {
    pub(super) fn begin_round(&mut self) {
        (self.silent, self.heard) = (false, false);
    }

    pub(super) fn add(&mut self, way: &Way, error: Error, answer: Answer) {
        self.silent |= answer == Answer::Silence;
        self.heard |= answer == Answer::Heard;
        let (place, fault) = (way.to_string(), fault::fault(&error));
        let host = way.found_by.as_ref().unwrap_or(&way.place).clone();
        self.all.retain(|known| known.place != place);
        self.all.push(Failure { host, place, error, fault, answer });
    }

    /// Some were silent, and none answered: with more patience they may respond.
    pub(super) fn are_all_silent(&self) -> bool {
        self.silent && !self.heard
    }

    /// The driver's own error for one host; for several an error that names each place, with its cause. Its fault is that of the most
    /// informative failure, which comes first. It is permanent only if all failures are: otherwise another server may recover.
    pub(super) fn error(mut self) -> Error {
        // Among equals the last, because it is the newest.
        self.all.reverse();
        self.all.sort_by_key(|failure| Reverse(failure.weight()));
        let [first, others @ ..] = &*self.all else { return provoke(io::ErrorKind::NotFound.into()) };
        let fault = first.fault;
        let for_good = |failure: &Failure| failure.fault == Fault::Permanent;
        if others.iter().all(|other| other.host == first.host && for_good(other) == for_good(first)) {
            return self.all.swap_remove(0).error;
        }
        let mut texts: Vec<_> = self.all.iter().take(MOST_NAMED).map(|failure| failure.text(fault)).collect();
        if let more @ 1.. = self.all.len() - texts.len() {
            texts.push(format!("and {more} more"));
        }
        provoke(io::Error::other(SeveralFailed { fault, text: texts.join("; ") }))
    }
}

impl Failure {
    /// A wrong role outweighs other server errors, those outweigh network errors, and temporary errors outweigh permanent ones.
    fn weight(&self) -> u8 {
        match self.fault {
            Fault::Permanent => 0,
            Fault::WrongRole => 3,
            _ if self.error.as_db_error().is_some() => 2,
            _ => 1,
        }
    }

    /// The text among others, of which one has the decisive fault.
    fn text(&self, counts: Fault) -> String {
        let Self { place, error, fault, answer, .. } = self;
        let cause = if *answer == Answer::Silence { "no answer in time".to_owned() } else { root(error) };
        match fault {
            // The cause may contain the place.
            _ if cause.contains(place.as_str()) => cause,
            Fault::Permanent if counts != Fault::Permanent => format!("{place} refuses permanently: {cause}"),
            _ => format!("{place}: {cause}"),
        }
    }
}

/// A name may have any number of addresses.
const MOST_NAMED: usize = 8;

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
            let text = root(&error);
            let refusal = format!("; 10.0.0.{place}:5432 refuses permanently: no entry in pg_hba.conf");
            assert!(text.contains(": it is in recovery; ") && text.ends_with(&refusal), "{text}");
        }
        let error = of([dead(), refusing()]).error();
        assert_eq!(fault::fault(&error), Fault::Unavailable, "{}", root(&error));
        let error = of([refusing(), refusing()]).error();
        let text = "10.0.0.2:5432: no entry in pg_hba.conf; 10.0.0.1:5432: no entry in pg_hba.conf";
        assert_eq!((fault::fault(&error), root(&error).as_str()), (Fault::Permanent, text));
    }

    #[test]
    fn a_wrong_role_comes_before_trouble_of_the_network_and_of_equals_the_last_comes_first() {
        for errors in [[dead(), standby()], [standby(), dead()]] {
            let standby = errors.iter().position(|error| fault::fault(error) == Fault::WrongRole).expect("one") + 1;
            let text = root(&of(errors).error());
            assert!(text.starts_with(&format!("10.0.0.{standby}:5432: it is in recovery; 10.0.0.")), "{text}");
        }
        let broken = |text: &'static str| provoke(io::Error::other(text));
        assert_eq!(root(&of([broken("one"), broken("two")]).error()), "10.0.0.2:5432: two; 10.0.0.1:5432: one");
    }

    #[test]
    fn the_error_of_a_single_host_is_the_drivers_own_however_many_addresses_it_has() {
        let named = ways::find(&"host=db.example".parse().expect("settings")).expect("they make sense").remove(0);
        let addresses = named.at(&["10.0.0.7", "10.0.0.8"].map(|address| address.parse().expect("an address")), 5432);
        for ways in [&addresses[..1], &addresses[..]] {
            let mut failures = Failures::default();
            ways.iter().for_each(|way| failures.add(way, dead(), Answer::Heard));
            let error = failures.error();
            assert_eq!(error.to_string(), "error connecting to server");
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
            assert!(cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused), "{error:?}");
        }
    }

    #[test]
    fn a_place_that_fails_again_is_named_once_with_its_last_cause_and_of_many_places_eight_are_named() {
        let broken = |text: &'static str| provoke(io::Error::other(text));
        let mut failures = of([broken("one"), broken("two")]);
        failures.begin_round();
        failures.add(&way(1), broken("three"), Answer::Silence);
        assert_eq!(root(&failures.error()), "10.0.0.1:5432: no answer in time; 10.0.0.2:5432: two");
        let text = root(&of((0..20).map(|_| broken("lost"))).error());
        assert_eq!((text.matches(": lost").count(), text.ends_with("; and 12 more")), (8, true), "{text}");
    }

    #[test]
    fn a_server_that_names_itself_is_not_named_twice_and_an_address_has_the_name_that_led_to_it() {
        let standby = || provoke(io::Error::other(RoleError("the server 10.0.0.1:5432 is in recovery".into())));
        let text = root(&of([standby(), dead()]).error());
        assert!(text.starts_with("the server 10.0.0.1:5432 is in recovery; 10.0.0.2:5432: "), "{text}");
        let named = ways::find(&"host=db.example".parse().expect("settings")).expect("they make sense").remove(0);
        let mut failures = of([dead()]);
        failures.add(&named.at(&["10.0.0.7".parse().expect("an address")], 5432)[0], dead(), Answer::Heard);
        let text = root(&failures.error());
        assert!(text.starts_with("db.example:5432 (10.0.0.7): ") && text.contains("; 10.0.0.1:5432: "), "{text}");
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
