//! Resolves names. A look-up can be neither bounded nor aborted; one that overruns is abandoned, in its own thread.
//!
//! Each name has one look-up at a time. A late answer serves the next caller.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, process, thread};

/// The function that resolves names.
pub(super) type Resolve = fn(&str) -> io::Result<Vec<IpAddr>>;

/// The system's resolver.
pub(super) fn of_system(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    } else {
        Ok(addresses)
    }
}

/// The addresses of a name, if they are found in time.
pub(super) fn look_up(name: &str, resolve: Resolve, deadline: Instant) -> io::Result<Vec<IpAddr>> {
    let look_up = under_way(name, resolve)?;
    let mut state = look_up.lock();
    let answer = loop {
        if let Some((answer, _)) = &state.answer {
            break match answer {
                Ok(addresses) => Ok(addresses.clone()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = format!("the address of {name} was not found in time");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        state = look_up.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    };
    drop(state);
    // Later callers start a new look-up.
    all().retain(|_, other| !Arc::ptr_eq(other, &look_up));
    answer
}

struct LookUp {
    began: Instant,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// With the time since which it is available.
    answer: Option<(io::Result<Vec<IpAddr>>, Instant)>,
}

impl LookUp {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can still yield an answer.
    fn is_of_use(&self, now: Instant) -> bool {
        match self.lock().answer {
            Some((_, at)) => now.saturating_duration_since(at) < KEPT,
            None => now.saturating_duration_since(self.began) < LONGEST,
        }
    }
}

/// The running look-up, or a new one.
fn under_way(name: &str, resolve: Resolve) -> io::Result<Arc<LookUp>> {
    let now = Instant::now();
    let mut all = all();
    all.retain(|_, look_up| look_up.is_of_use(now));
    let key = (process::id(), name.to_owned());
    if let Some(look_up) = all.get(&key) {
        return Ok(Arc::clone(look_up));
    }
    let look_up = Arc::new(LookUp { began: now, state: Mutex::default(), ended: Condvar::new() });
    let (own, name) = (Arc::clone(&look_up), name.to_owned());
    let run = move || {
        let answer = resolve(&name);
        own.lock().answer = Some((answer, Instant::now()));
        own.ended.notify_all();
    };
    thread::Builder::new().name("cabrank-postgres".into()).spawn(run)?;
    all.insert(key, Arc::clone(&look_up));
    Ok(look_up)
}

/// By process, because a thread does not survive a fork, and by name.
type All = BTreeMap<(u32, String), Arc<LookUp>>;

fn all() -> MutexGuard<'static, All> {
    static ALL: Mutex<All> = Mutex::new(BTreeMap::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a late answer is as good as a new one.
const KEPT: Duration = Duration::from_secs(10);

/// The system's own look-ups end sooner.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CALLS: AtomicU32 = AtomicU32::new(0);
    static HOLD: Mutex<()> = Mutex::new(());

    fn held(_: &str) -> io::Result<Vec<IpAddr>> {
        CALLS.fetch_add(1, Ordering::SeqCst);
        drop(HOLD.lock().expect("no panic"));
        Ok(vec![FOUND])
    }

    fn refused(_: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }

    #[test]
    fn one_that_takes_too_long_is_left_behind_and_its_answer_is_for_the_next() {
        let look_up = |span| look_up("held.example", held, Instant::now() + span);
        let hold = HOLD.lock().expect("no panic");
        for _ in 0..3 {
            let error = look_up(Duration::from_millis(5)).expect_err("it is held");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(error.to_string(), "the address of held.example was not found in time");
        }
        drop(hold);
        assert_eq!(look_up(LONG).expect("an address"), [FOUND]);
        assert_eq!(CALLS.load(Ordering::SeqCst), 1, "there was one for all four");
        assert_eq!(look_up(LONG).expect("an address"), [FOUND]);
        assert_eq!(CALLS.load(Ordering::SeqCst), 2, "an answer that was taken is for nobody else");
    }

    #[test]
    fn an_error_says_what_the_system_says() {
        let error = look_up("nowhere.example", refused, Instant::now() + LONG).expect_err("it is refused");
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "no such name"));
    }

    const FOUND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
    const LONG: Duration = Duration::from_secs(60);
}
