//! Bugs that are seeded into the core on purpose: the models must catch each of them, and the tests that run without a model's
//! schedules must not. `cargo xtask models` has the table.

/// Whether this bug is switched on. In a build without `cfg(seeded_bugs)` the answer is a constant, and the bug is compiled away.
#[cfg(not(seeded_bugs))]
#[inline(always)]
pub(crate) const fn bug(_: &str) -> bool {
    false
}

#[cfg(seeded_bugs)]
pub(crate) fn bug(name: &str) -> bool {
    thread_local!(static CHOSEN: Option<String> = std::env::var("CABRANK_SEEDED_BUG").ok());
    // A thread that is ending has no thread-locals left, and no bug.
    CHOSEN.try_with(|chosen| chosen.as_deref() == Some(name)).unwrap_or(false)
}
