//! The example `web` in a browser. Each look that its page receives is kept, for comparison with the service's own report of the same
//! moment.

use crate::service::Service;
use crate::support::{SHOWN, TOLD, start};
use monitor_browser::Chromium;
use serde_json::Value;
use std::time::{Duration, Instant};

pub(crate) struct Watched {
    pub(crate) browser: Chromium,
    pub(crate) service: Service,
}

impl Watched {
    /// Starts both. Skips the test without a browser, the program or a server.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut browser = start();
        let service = Service::start(arguments);
        browser.open(&format!("http://{}/pool/", service.address));
        browser.evaluate(&format!(
            "const [told, shown, kept, shows] = [{TOLD}, {SHOWN}, new Map(), show];
             show = (look) => {{
                 shows(look);
                 kept.set(look.number, shown());
                 if (kept.size > 100) kept.delete(kept.keys().next().value);
             }};
             0"
        ));
        browser.eventually("a look is shown", "kept.size > 0");
        Self { browser, service }
    }

    /// Asserts that the page shows a look exactly as the service sent it under that number, with numbers between two readings of
    /// `/stats`.
    #[track_caller]
    pub(crate) fn assert_agrees(&mut self) -> Seen {
        let begun = Instant::now();
        loop {
            let before = Numbers::of(&self.service.json("/stats"));
            self.browser.eventually("another look is shown", &format!("kept.size && last.number > {}", self.number()));
            let look = self.service.json("/pool/look");
            let number = look["number"].as_u64().expect("a number");
            self.browser.eventually("that look is shown, or a later one", &format!("last.number >= {number}"));
            let after = Numbers::of(&self.service.json("/stats"));
            // A look taken for this request alone is not shown.
            let shown = self.browser.evaluate(&format!("kept.get({number}) ?? null"));
            if shown.is_null() {
                assert!(begun.elapsed() < Duration::from_secs(60), "no look is that of the page");
                continue;
            }
            let difference = self.browser.evaluate(&format!(
                "(() => {{
                    const [theirs, ours] = [told({look}), kept.get({number})];
                    return JSON.stringify(theirs) === JSON.stringify(ours) ? '' : JSON.stringify({{ theirs, ours }});
                }})()"
            ));
            assert_eq!(difference, "");
            let seen =
                Seen { numbers: Numbers::shown(&shown), title: text(&shown["title"]), says: shown["says"].to_string() };
            before.assert_led_to(&seen.numbers);
            seen.numbers.assert_led_to(&after);
            return seen;
        }
    }

    /// The number of the service's newest look.
    fn number(&self) -> u64 {
        self.service.json("/pool/look")["number"].as_u64().expect("a number")
    }

    /// Waits until the pool is up again and nothing is lent.
    #[track_caller]
    pub(crate) fn comes_to_rest(&mut self) {
        self.comes_to_be("up");
        self.browser.eventually("nothing is lent", "last.pools[0].counts.lent === 0");
    }

    /// Waits until the headline shows this state.
    #[track_caller]
    pub(crate) fn comes_to_be(&mut self, state: &str) {
        self.browser.eventually(state, &format!("document.getElementById('verdict').dataset.state === '{state}'"));
    }
}

/// Everything that the page shows.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) numbers: Numbers,
    pub(crate) title: String,
    pub(crate) says: String,
}

/// The numbers in both the page and `/stats`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) max_size: u64,
    pub(crate) in_use: u64,
    pub(crate) waiting: u64,
    /// These only grow.
    totals: [u64; 4],
}

impl Numbers {
    pub(crate) fn of(stats: &Value) -> Self {
        let number = |name: &str| stats[name].as_u64().expect(name);
        Self {
            max_size: number("max_size"),
            in_use: number("in_use"),
            waiting: number("waiting"),
            totals: ["borrowed", "returned", "timed_out", "overloaded"].map(number),
        }
    }

    fn shown(shown: &Value) -> Self {
        let number = |value: &Value| value.as_u64().expect("a number");
        let totals: Vec<u64> = shown["totals"].as_array().expect("numbers").iter().map(number).collect();
        let [at_once, after_waiting, rejected, returned, timed_out, overloaded, _] = totals[..] else {
            panic!("{shown}")
        };
        Self {
            max_size: number(&shown["size"]),
            in_use: number(&shown["counts"][0]),
            waiting: number(&shown["counts"][6]),
            totals: [at_once + after_waiting - rejected, returned, timed_out, overloaded],
        }
    }

    pub(crate) fn returned(&self) -> u64 {
        self.totals[1]
    }

    /// Asserts that the later numbers can follow these.
    #[track_caller]
    fn assert_led_to(&self, later: &Self) {
        assert_eq!(self.max_size, later.max_size);
        assert!(self.totals.iter().zip(later.totals).all(|(one, other)| *one <= other), "{self:?} {later:?}");
        assert!(later.in_use <= later.max_size, "{later:?}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
