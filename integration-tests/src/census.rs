//! Counts a user's sessions at the server, about a thousand times a second, for as long as it lives. The most sessions at one time show
//! the load on the server, independently of the pool's own numbers.
//!
//! A server walks through its list while sessions come and go, so one look may show an ended session together with its replacement.
//! Sessions that appear in two consecutive looks all existed at the same time between the two: those are counted, and a session with a
//! shorter life is not.
//!
//! There is one thread and one login for each engine, for any number of users.

use crate::admin::Admin;
use crate::server::Server;
use anyhow::Result;
use cabrank_testing::servers::Engine;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// A watched user. Dropping it ends the watch.
#[derive(Debug)]
pub struct Census {
    shared: Arc<Shared>,
    engine: Engine,
    user: String,
    begun: Instant,
}

/// The observations of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// The number of pairs of consecutive looks since the watch began, with or without a session.
    pub samples: u64,
    /// The most sessions at one time.
    pub peak: usize,
}

impl Census {
    /// Begins to watch. Returns after the first look.
    pub fn of(server: &'static Server, user: &str) -> Self {
        let shared = running(server);
        let mut seen = shared.lock();
        seen.insert(user.to_owned(), Seen::default());
        let begun = Instant::now();
        while seen[user].samples == 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{} cannot list its sessions", server.engine());
            seen = shared.looked.wait_timeout(seen, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(seen);
        Self { shared, engine: server.engine(), user: user.to_owned(), begun }
    }

    /// The observations so far.
    pub fn seen(&self) -> Seen {
        self.shared.lock()[&self.user]
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        let seen = self.shared.lock().remove(&self.user).unwrap_or_default();
        let mut totals = TOTALS.lock().unwrap_or_else(PoisonError::into_inner);
        let (watched, samples) = totals.entry(self.engine.name()).or_default();
        *watched += self.begun.elapsed();
        *samples += seen.samples;
    }
}

/// For the report: the time and the number of looks for each engine.
pub(crate) fn totals() -> BTreeMap<&'static str, (Duration, u64)> {
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[derive(Debug)]
struct Shared {
    users: Mutex<HashMap<String, Seen>>,
    /// Signals a look.
    looked: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records two consecutive looks.
    fn note(&self, before: &Look, look: &Look) {
        let mut count = HashMap::new();
        look.intersection(before).for_each(|(user, _)| *count.entry(user.as_str()).or_insert(0) += 1);
        for (user, seen) in self.lock().iter_mut() {
            seen.samples += 1;
            seen.peak = seen.peak.max(count.get(user.as_str()).copied().unwrap_or(0));
        }
        self.looked.notify_all();
    }
}

/// The sessions on a server's list: each with its user and its id, which is not reused soon.
type Look = HashSet<(String, String)>;

/// The engine's counting thread, which ends when no user is watched any more.
fn running(server: &'static Server) -> Arc<Shared> {
    let mut slots = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = slots.entry(server.engine().name()).or_default();
    slot.upgrade().unwrap_or_else(|| {
        let shared = Arc::new(Shared { users: Mutex::default(), looked: Condvar::new() });
        *slot = Arc::downgrade(&shared);
        let weak = slot.clone();
        thread::spawn(move || count(server, &weak));
        shared
    })
}

fn count(server: &'static Server, shared: &Weak<Shared>) {
    let mut login: Option<Admin> = None;
    let mut before = None;
    while let Some(shared) = shared.upgrade() {
        let begun = Instant::now();
        // A server that is down has no sessions to count; it may come back.
        if login.is_none() {
            login = server.log_in().ok();
        }
        match login.as_mut().map(|admin| look(admin, server.engine())) {
            Some(Ok(look)) => {
                before.as_ref().inspect(|before| shared.note(before, &look));
                before = Some(look);
            }
            // A restarted server numbers its sessions anew.
            _ => (login, before) = (None, None),
        }
        drop(shared);
        thread::sleep(TICK.saturating_sub(begun.elapsed()));
    }
}

/// MySQL and MariaDB hang up first and only then remove a session from their list. Until then it appears as one that has said goodbye or
/// was killed. (In `performance_schema.processlist` it looks idle again instead.)
fn look(admin: &mut Admin, engine: Engine) -> Result<Look> {
    let rows = admin.rows(match engine {
        Engine::Postgres => "SELECT usename, pid FROM pg_stat_activity WHERE usename IS NOT NULL",
        _ => "SELECT user, id FROM information_schema.processlist WHERE command NOT IN ('Quit', 'Killed')",
    })?;
    Ok(rows.into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok().map(Into::into)).collect())
}

static RUNNING: Mutex<BTreeMap<&'static str, Weak<Shared>>> = Mutex::new(BTreeMap::new());
static TOTALS: Mutex<BTreeMap<&'static str, (Duration, u64)>> = Mutex::new(BTreeMap::new());

const TICK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_came_while_another_left_is_not_counted_beside_it() {
        let look = |sessions: &[&str]| -> Look { sessions.iter().map(|&id| ("ada".into(), id.into())).collect() };
        let shared = Shared { users: Mutex::new([("ada".into(), Seen::default())].into()), looked: Condvar::new() };
        let seen = || shared.lock()["ada"];
        // The walk through the list met the first session as it was leaving, and then the third, its replacement.
        shared.note(&look(&["1", "2"]), &look(&["1", "2", "3"]));
        assert_eq!(seen(), Seen { samples: 1, peak: 2 });
        shared.note(&look(&["1", "2", "3"]), &look(&["2", "3"]));
        assert_eq!(seen(), Seen { samples: 2, peak: 2 });
        shared.note(&look(&["2", "3", "4"]), &look(&["2", "3", "4"]));
        assert_eq!(seen(), Seen { samples: 3, peak: 3 });
    }
}
