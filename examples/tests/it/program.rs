//! Running a program and reading what it printed.

use crate::place::Place;
use std::process::{Command, Output};

/// What a program prints that is given this database, and ends well.
pub(crate) fn printed(program: &str, place: &Place) -> String {
    succeeded(
        &Command::new(program).args(["--url", &place.url]).output().expect("the programs are built with the tests"),
    )
}

/// What a program that ended well printed.
pub(crate) fn succeeded(output: &Output) -> String {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    assert!(errors.is_empty(), "{errors}");
    text.into_owned()
}
