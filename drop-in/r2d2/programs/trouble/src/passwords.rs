//! A password that the server rejects at first and accepts later.

use crate::application::{millis, pool};
use crate::server::{Server, name};
use crate::{Failure, Measured};
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

/// Twenty threads request connections from a pool of ten: which error do they get, when, and how often is the server contacted? Then
/// the password becomes right.
pub(crate) fn wrong_password(server: &Server) -> Result<Measured, Failure> {
    let mut admin = server.watch()?;
    admin.execute(&format!("CREATE ROLE \"{}\" LOGIN PASSWORD 'the right one'", name()))?;
    let measured =
        by_a_wrong_one(server, |password| admin.execute(&format!("ALTER ROLE \"{}\" PASSWORD '{password}'", name())));
    admin.execute(&format!("DROP ROLE \"{}\"", name()))?;
    measured
}

fn by_a_wrong_one(
    server: &Server,
    set_password: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let mut url = Url::parse(&url)?;
    url.set_username(&name()).and_then(|()| url.set_password(Some("wrong"))).map_err(|()| "a URL without user")?;
    let pool = pool(url.as_str(), 10, Duration::from_secs(2))?;
    let (told, longest) = thread::scope(|scope| {
        let ask = || {
            let begun = Instant::now();
            let error = pool.get().err().map(|error| error.to_string()).unwrap_or_default();
            (error.contains("password authentication failed"), begun.elapsed())
        };
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        let answers = asking.into_iter().map(|thread| thread.join().expect("it does not panic"));
        answers.fold((0, Duration::ZERO), |(told, longest), (is_told, waited)| {
            (told + u8::from(is_told), longest.max(waited))
        })
    });
    let log_ins = proxy.counts().attempts.len();
    set_password("wrong")?;
    let corrected = Instant::now();
    while pool.get().is_err() && corrected.elapsed() < Duration::from_secs(30) {}
    Ok(vec![
        ("errors_that_name_the_cause", told.into()),
        ("longest_wait_ms", millis(longest)),
        ("log_ins", log_ins as f64),
        ("served_after_ms", millis(corrected.elapsed())),
    ])
}
