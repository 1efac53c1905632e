//! The settings of a pool, checked once at build time and read-only from then on.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The settings of a pool, checked by [`Builder::build`](crate::Builder::build). The builder's method of the same name describes each. A
/// duration of `Duration::MAX` means no limit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each setting is described once, at the builder's method of the same name")]
pub struct Config {
    pub name: String,
    pub max_size: u32,
    pub min_idle: u32,
    pub acquire_timeout: Duration,
    pub connect_timeout: Duration,
    /// `None`: the value of `connect_timeout`.
    pub build_timeout: Option<Duration>,
    pub check_timeout: Duration,
    pub reset_timeout: Duration,
    pub close_timeout: Duration,
    pub check_after: Duration,
    pub max_lifetime: Duration,
    pub lifetime_jitter: f64,
    pub idle_timeout: Duration,
    pub keepalive: Duration,
    pub max_waiters: Option<u32>,
    pub fairness_window: Duration,
    pub reclaim_after: Duration,
    /// The first and the largest pause between two connection attempts.
    pub backoff: (Duration, Duration),
    pub leak_after: Duration,
    pub session_policy: SessionPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            max_size: 10,
            min_idle: 0,
            acquire_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            build_timeout: None,
            check_timeout: Duration::from_secs(1),
            reset_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            check_after: Duration::from_secs(1),
            max_lifetime: Duration::from_secs(30 * 60),
            lifetime_jitter: 0.1,
            idle_timeout: Duration::from_secs(10 * 60),
            keepalive: Duration::MAX,
            max_waiters: None,
            fairness_window: Duration::from_millis(1),
            reclaim_after: Duration::from_millis(50),
            backoff: (Duration::from_millis(50), Duration::from_millis(500)),
            leak_after: Duration::MAX,
            session_policy: SessionPolicy::Tracked,
        }
    }
}

impl Config {
    /// Returns the settings that are valid but probably unintended, each with its consequence. The pool works with them; with the feature
    /// `tracing` it logs them when it is built, with the target `cabrank::settings`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().acquire_timeout(Duration::from_secs(2)).build(manager)?;
    /// let warnings = pool.config().warnings();
    /// assert_eq!(warnings[0].field, "connect_timeout"); // Its default of 10 s is longer than callers wait.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let limit = |span: Duration| if span == Duration::MAX { "no limit".to_owned() } else { format!("{span:?}") };
        let mut warn = |field, message: String| warnings.push(Problem::new(field, message));
        let longer = |one: Duration, than: Duration| one > than && one != Duration::MAX;
        if self.connect_timeout > self.acquire_timeout {
            warn(
                "connect_timeout",
                format!(
                    "{} is longer than acquire_timeout ({:?}): requests time out before an attempt fails, so their errors lack the cause",
                    limit(self.connect_timeout),
                    self.acquire_timeout
                ),
            );
        }
        if longer(self.idle_timeout, self.max_lifetime) {
            warn(
                "idle_timeout",
                format!(
                    "{:?} is longer than max_lifetime ({:?}): connections expire before they are idle for that long",
                    self.idle_timeout, self.max_lifetime
                ),
            );
        }
        if longer(self.keepalive, self.idle_timeout) {
            warn(
                "keepalive",
                format!(
                    "{:?} is longer than idle_timeout ({:?}): only the connections that min_idle keeps are ever checked",
                    self.keepalive, self.idle_timeout
                ),
            );
        }
        if self.reclaim_after > self.acquire_timeout {
            warn(
                "reclaim_after",
                format!(
                    "{} is longer than acquire_timeout ({:?}): a future that is not polled makes the requests behind it time out",
                    limit(self.reclaim_after),
                    self.acquire_timeout
                ),
            );
        }
        if longer(self.leak_after, self.max_lifetime) {
            warn(
                "leak_after",
                format!(
                    "{:?} is longer than max_lifetime ({:?}): a loan that outlasts max_lifetime is most likely a leak already",
                    self.leak_after, self.max_lifetime
                ),
            );
        }
        warnings
    }

    /// Refuses settings that break a rule.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let mut problems = size_problems(self.max_size, self.min_idle);
        let mut refuse = |field, message: String| problems.push(Problem::new(field, message));

        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            refuse("name", format!("must not be empty or contain control characters, but is {:?}", self.name));
        }
        for (field, value) in [
            ("acquire_timeout", self.acquire_timeout),
            ("connect_timeout", self.connect_timeout),
            ("build_timeout", self.build_timeout.unwrap_or(Duration::MAX)),
            ("check_timeout", self.check_timeout),
            ("reset_timeout", self.reset_timeout),
            ("close_timeout", self.close_timeout),
            ("max_lifetime", self.max_lifetime),
            ("idle_timeout", self.idle_timeout),
            ("keepalive", self.keepalive),
            ("leak_after", self.leak_after),
            ("reclaim_after", self.reclaim_after),
        ] {
            if value.is_zero() {
                refuse(field, "must be longer than zero; Duration::MAX (\"never\") means no limit".to_owned());
            }
        }
        if !(0.0..1.0).contains(&self.lifetime_jitter) {
            refuse("lifetime_jitter", format!("must be at least 0 and less than 1, but is {}", self.lifetime_jitter));
        }
        // Shorter ones would keep the workers busy all the time.
        for (field, value) in
            [("max_lifetime", self.max_lifetime), ("idle_timeout", self.idle_timeout), ("keepalive", self.keepalive)]
        {
            if value < SHORTEST_PAUSE && !value.is_zero() {
                refuse(field, format!("must be at least {SHORTEST_PAUSE:?}, but is {value:?}"));
            }
        }
        let (first, largest) = self.backoff;
        if first < SHORTEST_PAUSE {
            refuse("backoff", format!("the first pause must be at least {SHORTEST_PAUSE:?}, but is {first:?}"));
        }
        if first > largest {
            refuse("backoff", format!("the first pause, {first:?}, is longer than the largest, {largest:?}"));
        }
        if self.max_waiters == Some(0) {
            refuse("max_waiters", "must be at least 1; call try_get to get a connection without waiting".to_owned());
        }
        ConfigError::of(problems)
    }
}

/// Refuses sizes that break a rule.
pub(crate) fn check_sizes(max_size: u32, min_idle: u32) -> Result<(), ConfigError> {
    ConfigError::of(size_problems(max_size, min_idle))
}

fn size_problems(max_size: u32, min_idle: u32) -> Vec<Problem> {
    let mut problems = Vec::new();
    if max_size == 0 {
        problems.push(Problem::new("max_size", "must be at least 1".to_owned()));
    }
    if min_idle > max_size {
        let message = format!(
            "{min_idle} is larger than max_size ({max_size}): the pool could never hold that many; lower min_idle or \
             raise max_size"
        );
        problems.push(Problem::new("min_idle", message));
    }
    problems
}

/// When a returned connection's session is reset. Later versions may add policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionPolicy {
    /// Unless the manager reports a clean session. A clean session costs nothing.
    #[default]
    Tracked,
    /// After every loan that touched the connection, clean or not.
    Always,
    /// Never. For connections without session state, or holders that all clean up after themselves.
    Never,
}

/// Invalid settings or sizes: every broken rule, with its remedy.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let manager = Toy;
/// use cabrank::BuildError;
///
/// let error = Pool::builder().max_size(2).min_idle(5).lifetime_jitter(1.5).build(manager).unwrap_err();
/// let BuildError::Config(error) = error else { panic!("{error:?}") };
/// let fields: Vec<_> = error.problems().iter().map(|problem| problem.field).collect();
/// assert_eq!(fields, ["min_idle", "lifetime_jitter"]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// Adds to each problem the place that its setting came from, if `places` has one.
    pub(crate) fn with_places(mut self, places: &[(&'static str, String)]) -> Self {
        for problem in &mut self.problems {
            let found = places.iter().find(|(field, _)| *field == problem.field);
            problem.place = found.map(|(_, place)| place.clone());
        }
        self
    }

    /// Returns every broken rule, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid pool settings")?;
        for (n, problem) in self.problems.iter().enumerate() {
            write!(f, "{} {problem}", if n == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// The same text as `Display`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

/// A rule that a setting breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The setting, by the name of its builder method.
    pub field: &'static str,
    /// The name of the environment variable that the value came from, if it came from one.
    pub place: Option<String>,
    /// The rule and its remedy.
    pub message: String,
}

impl Problem {
    fn new(field: &'static str, message: String) -> Self {
        Self { field, place: None, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place.as_deref().unwrap_or(self.field), self.message)
    }
}

/// The minimum pause between connection attempts, and the minimum lifetime: below it a pool would open and close connections endlessly.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

pub(crate) const DEFAULT_NAME: &str = "cabrank";
