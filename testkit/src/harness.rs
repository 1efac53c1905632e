//! A `main` for tests that find out at run time whether they apply, so that one that did not run is never counted as passed.
//!
//! The standard harness knows but two ways for a test to end. Here a third is added, by `libtest-mimic`; names, filters,
//! `--list`, `--skip` and the rest are as usual. Which tests there are is listed by [`tests!`](crate::tests), module by module.

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
    /// A test that passes unless it panics or [skips](skip) itself.
    pub fn new(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Self {
        Self::reporting(name, || Ended::of(test))
    }

    /// A test that says by itself how it ended.
    pub fn reporting(name: impl Into<String>, test: impl FnOnce() -> Ended + Send + 'static) -> Self {
        Self { name: name.into(), run: Box::new(test) }
    }

    /// As on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it here and now.
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
    /// It ran, and all held.
    Passed,
    /// It did not apply, for this reason.
    Ignored(String),
    /// It panicked, with this message.
    Failed(String),
}

impl Ended {
    /// How this test ends. It runs in this thread.
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

/// Ends a test that finds that it does not apply, by unwinding: it counts as ignored. In the test's own thread only.
pub fn skip(reason: impl Into<String>) -> ! {
    // Without the panic hook, which would print something.
    panic::resume_unwind(Box::new(Skip(reason.into())))
}

/// The body of `main`: runs those of the modules' tests that the command line chooses, in parallel unless it says otherwise.
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

/// For [`tests!`](crate::tests): a test that needs nothing but itself.
pub fn alone(module: &str, name: &str, test: fn()) -> [Test; 1] {
    [Test::new(path([module, name]), test)]
}

/// A test's name made of its parts, of which the module is empty at the crate's root.
pub fn path<const N: usize>(parts: [&str; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
}

/// A module's path without the crate's name, as in the names of tests.
pub fn module(path: &'static str) -> &'static str {
    path.split_once("::").map_or("", |(_, module)| module)
}

/// Lists the tests of a module, and writes the function `tests()` that gives them to [`run`](crate::harness::run).
///
/// Before each colon stands what makes tests of the functions behind it: a function from the module's path, the name and the
/// function to any number of [`Test`](crate::harness::Test)s, such as [`alone`](crate::harness::alone). A function that is
/// left out is dead code, and so is the list of a module that `main` leaves out: the compiler says so.
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

/// What unwinds out of a test that does not apply.
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
