//! Runs a program and reads its output.

use crate::place::Place;
use std::process::{Command, Output, Stdio};

/// Runs a program on this database. Returns its output, and requires success.
pub(crate) fn printed(program: &str, place: &Place) -> String {
    printed_by(program, place).1
}

/// Like [`printed`], and also returns the id of the process.
pub(crate) fn printed_by(program: &str, place: &Place) -> (u32, String) {
    let mut command = Command::new(program);
    command.args(["--url", &place.url]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = command.spawn().expect("the programs are built with the tests");
    let id = process.id();
    (id, succeeded(&process.wait_with_output().expect("an end")))
}

/// Returns the output of a program, and requires success.
pub(crate) fn succeeded(output: &Output) -> String {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    assert!(errors.is_empty(), "{errors}");
    text.into_owned()
}
