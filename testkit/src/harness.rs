//! A `main` for tests that find out at run time whether they apply. A test that did not run is never counted as passed.
//!
//! In the standard harness a test can end in two ways only. This one adds a third, through `libtest-mimic`; names, filters, `--list`,
//! `--skip` and the rest work as usual. [`tests!`](crate::tests) lists the tests, module by module.

use libtest_mimic::{Arguments, Completion, Trial};
use std::any::Any;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// One test, with its name.
///
/// ```
/// use cabrank_testing::harness::{Ended, Test, skip};
///
/// let test = Test::new("server::answers", || match std::env::var("NO_SUCH_SERVER") {
///     Ok(url) => assert!(!url.is_empty()),
///     Err(_) => skip("NO_SUCH_SERVER is not set"),
/// });
/// assert_eq!(test.name(), "server::answers");
/// assert_eq!(test.run(), Ended::Ignored("NO_SUCH_SERVER is not set".into()));
/// ```
pub struct Test {
    name: String,
    run: Box<dyn FnOnce() -> Ended + Send>,
}

impl Test {
    /// A test that passes unless it panics or calls [`skip`].
    pub fn new(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Self {
        Self::reporting(name, || Ended::of(test))
    }

    /// A test that returns how it ended.
    pub fn reporting(name: impl Into<String>, test: impl FnOnce() -> Ended + Send + 'static) -> Self {
        Self { name: name.into(), run: Box::new(test) }
    }

    /// The name as on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs the test in this thread.
    pub fn run(self) -> Ended {
        (self.run)()
    }
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Test").field(&self.name).finish()
    }
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ran and passed.
    Passed,
    /// It did not apply, for this reason.
    Ignored(String),
    /// It panicked, with this message.
    Failed(String),
}

impl Ended {
    /// Runs a test in this thread, and returns how it ended.
    pub fn of(test: impl FnOnce()) -> Self {
        match panic::catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => Self::Passed,
            Err(payload) => match payload.downcast::<Skip>() {
                Ok(skip) => Self::Ignored(skip.0),
                Err(payload) => Self::Failed(message(&*payload)),
            },
        }
    }
}

/// Ends a test that finds that it does not apply, by unwinding: it counts as ignored. Call it only in the test's own thread.
pub fn skip(reason: impl Into<String>) -> ! {
    // Bypasses the panic hook, which would print a message.
    panic::resume_unwind(Box::new(Skip(reason.into())))
}

/// The body of `main`: runs the modules' tests that the command line selects, in parallel by default.
pub fn run(modules: impl IntoIterator<Item = Vec<Test>>) -> ExitCode {
    let trial = |Test { name, run }| {
        Trial::ignorable_test(name, || match run() {
            Ended::Passed => Ok(Completion::Completed),
            Ended::Ignored(reason) => Ok(Completion::ignored_with(reason)),
            Ended::Failed(message) => Err(message.into()),
        })
    };
    libtest_mimic::run(&Arguments::from_args(), modules.into_iter().flatten().map(trial).collect()).exit_code()
}

/// For [`tests!`](crate::tests): a test without parameters.
pub fn alone(module: &str, name: &str, test: fn()) -> [Test; 1] {
    [Test::new(path([module, name]), test)]
}

/// Joins the parts of a test's name. The module is empty at the crate's root.
pub fn path<const N: usize>(parts: [&str; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
}

/// A module's path without the crate's name, as in the names of tests.
pub fn module(path: &'static str) -> &'static str {
    path.split_once("::").map_or("", |(_, module)| module)
}

/// Lists the tests of a module, and defines the function `tests()`, which returns them for [`run`](crate::harness::run).
///
/// Before each colon stands the function that makes tests of the functions after it. It takes the module's path, the name and the
/// function, and returns any number of [`Test`](crate::harness::Test)s, like [`alone`](crate::harness::alone). An unlisted function is
/// dead code, and so is the list of a module that `main` leaves out: the compiler reports both.
///
/// ```
/// mod arithmetic {
///     use cabrank_testing::harness::{Test, alone};
///
///     fn one_and_one_are_two() {
///         assert_eq!(1 + 1, 2);
///     }
///
///     fn multiplying_by_one_changes_nothing(number: u32) {
///         assert_eq!(number * 1, number);
///     }
///
///     fn with_some_numbers(module: &str, name: &str, test: fn(u32)) -> Vec<Test> {
///         [7, 11].map(|number| Test::new(format!("{module}::with_{number}::{name}"), move || test(number))).into()
///     }
///
///     cabrank_testing::tests! {
///         alone: one_and_one_are_two;
///         with_some_numbers:
///             multiplying_by_one_changes_nothing,
///             #[cfg(any())] // an attribute stands before a name, as it does before the function
///             dividing_by_zero,
///     }
/// }
///
/// // fn main() -> ExitCode { cabrank_testing::harness::run([arithmetic::tests(), ..]) }
/// let names: Vec<_> = arithmetic::tests().iter().map(|test| test.name().rsplit("::").next().unwrap().to_owned()).collect();
/// assert_eq!(names, ["one_and_one_are_two", "multiplying_by_one_changes_nothing", "multiplying_by_one_changes_nothing"]);
/// ```
#[macro_export]
macro_rules! tests {
    ($($kind:path: $($(#[$attribute:meta])* $test:ident),+ $(,)?);+ $(;)?) => {
        /// The tests of this module.
        pub(crate) fn tests() -> ::std::vec::Vec<$crate::harness::Test> {
            let module = $crate::harness::module(::std::module_path!());
            let mut tests = ::std::vec::Vec::new();
            $($($(#[$attribute])* tests.extend($kind(module, ::std::stringify!($test), $test));)+)+
            tests
        }
    };
}

/// The payload with which a test unwinds if it does not apply.
struct Skip(String);

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_does_not_apply_is_neither_passed_nor_failed() {
        assert_eq!(Ended::of(|| skip("no server")), Ended::Ignored("no server".into()));
        assert_eq!(Ended::of(|| {}), Ended::Passed);
    }

    #[test]
    fn a_panic_is_a_failure_with_its_message() {
        let quietly = |message: &'static str| Ended::of(|| panic::resume_unwind(Box::new(message)));
        assert_eq!(quietly("one is not two"), Ended::Failed("one is not two".into()));
        assert_eq!(Ended::of(|| panic::resume_unwind(Box::new(7))), Ended::Failed("it panicked".into()));
    }

    #[test]
    fn a_test_is_named_after_its_module_without_the_crate() {
        assert_eq!(module("it::lines::unix"), "lines::unix");
        assert_eq!(path([module("it"), "on_mysql", "a"]), "on_mysql::a");
    }
}
