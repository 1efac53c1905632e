//! The default name of a pool: the manager's, with a number if another pool of this process has that name.

use crate::contain::contained;
use crate::manager::Manager;
use crate::sync::{Mutex, MutexGuard, OnceLock, PerProcess};
use std::sync::{Arc, Weak};

/// The names of all pools of this process, those set by the user included. A name is free again when its pool is gone.
#[derive(Default)]
pub(super) struct Names(Vec<Weak<str>>);

/// No other pool can be built while the guard exists, so two pools built at the same time get different names.
pub(super) fn of_this_process() -> MutexGuard<'static, Names> {
    static NAMES: OnceLock<PerProcess<Mutex<Names>>> = OnceLock::new();
    PerProcess::present(&NAMES, Mutex::default).lock()
}

/// The manager's name for its pools, if it is valid: not empty, and without control characters.
pub(super) fn default_of<M: Manager>(manager: &M) -> Option<String> {
    let name = contained(|| manager.default_name()).ok().flatten();
    name.filter(|name| !name.is_empty() && !name.contains(char::is_control))
}

impl Names {
    /// Returns this name, or the first numbered form of it, that no pool has.
    pub(super) fn free(&self, name: String) -> String {
        let is_free = |name: &String| self.0.iter().all(|taken| taken.upgrade().is_none_or(|taken| *taken != **name));
        let numbered = (2_u64..).map(|number| format!("{name}#{number}"));
        std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
    }

    /// Reserves this name for as long as its pool lives.
    pub(super) fn take(&mut self, name: &Arc<str>) {
        self.0.retain(|taken| taken.strong_count() > 0);
        self.0.push(Arc::downgrade(name));
    }
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_the_first_number_that_is_free() {
        let mut names = Names::default();
        let mut build = |name: &str| {
            let name = Arc::from(names.free(name.to_owned()));
            names.take(&name);
            name
        };
        let (one, two, three) = (build("db"), build("db"), build("db"));
        assert_eq!([&*one, &*two, &*three], ["db", "db#2", "db#3"]);
        drop(two);
        let again = build("db");
        assert_eq!([&*again, &*build("db"), &*build("other")], ["db#2", "db#4", "other"]);
        drop(one);
        assert_eq!(&*build("db"), "db");
    }

    #[test]
    fn names_of_pools_that_are_gone_take_no_room() {
        let mut names = Names::default();
        (0..100).for_each(|number| names.take(&Arc::from(format!("{number}"))));
        assert_eq!(names.0.len(), 1);
    }
}
