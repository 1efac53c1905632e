//! Runs other programs: prints each command first, checks its status, limits its time, and gives it no input.
//!
//! Interpreting the output belongs to the caller.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The cargo that runs this program, at the root of the workspace.
pub(crate) fn cargo<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::workspace::root());
    command
}

/// Runs a program and shows its output; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a program, shows its output, and returns whether it succeeded.
pub(crate) fn status(command: &mut Command) -> Result<bool> {
    show(command);
    Ok(command.stdin(Stdio::null()).status().with_context(|| cannot_start(command))?.success())
}

/// Whether the program exists and succeeds. Shows nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// The standard output of a program; an error with its standard error unless it succeeds. Shows nothing.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program and passes each line of its standard output to `each`; standard error is inherited. Returns `None` if it printed nothing
/// for as long as `silence` and was killed with its children. Only with such a limit does it get its own process group, which Ctrl-C does
/// not reach.
pub(crate) fn lines(
    command: &mut Command,
    silence: Option<Duration>,
    mut each: impl FnMut(&str),
) -> Result<Option<ExitStatus>> {
    show(command);
    #[cfg(unix)]
    if silence.is_some() {
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let (send, receive) = mpsc::channel();
    // Split as bytes: a test may print text that is not UTF-8.
    let reader = thread::spawn(move || output.split(b'\n').try_for_each(|line| send.send(line).map_err(drop)));
    loop {
        match receive.recv_timeout(silence.unwrap_or(Duration::MAX)) {
            Ok(line) => each(String::from_utf8_lossy(&line?).trim_end()),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                #[cfg(unix)]
                Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status()?;
                // Without process groups this kills at least the program itself; on Unix it is already dead.
                let _ = child.kill();
                child.wait()?;
                return Ok(None);
            }
        }
    }
    // The channel is closed, so the thread is at its end.
    let _ = reader.join();
    Ok(Some(child.wait()?))
}

/// How a program with a time limit ended.
pub(crate) struct Ended {
    /// `None` if it ran out of time and was killed.
    pub(crate) status: Option<ExitStatus>,
    /// Standard output and error together.
    pub(crate) output: String,
}

/// Runs a program for at most `limit`. Its output goes through the file `log`: a child that outlives it could hold a pipe open and block
/// the reader.
pub(crate) fn within(command: &mut Command, limit: Duration, log: &Path) -> Result<Ended> {
    show(command);
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    Ok(Ended { status, output: String::from_utf8_lossy(&fs::read(log)?).into_owned() })
}

/// The limit for what takes minutes at worst, such as downloads.
pub(crate) const LONG: Duration = Duration::from_secs(20 * 60);

fn show(command: &Command) {
    eprintln!("$ {}", line(command));
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", line(command))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_fails_is_an_error() {
        assert!(run(&mut shell("exit 0")).is_ok());
        assert!(run(&mut shell("exit 3")).unwrap_err().to_string().contains("failed"));
        assert!(run(&mut Command::new("no-such-program")).unwrap_err().to_string().contains("cannot start"));
    }

    #[test]
    fn output_is_returned_and_a_failure_tells_why() {
        assert_eq!(output(&mut shell("echo a; echo b >&2")).unwrap(), "a\n");
        assert!(output(&mut shell("echo reason >&2; exit 1")).unwrap_err().to_string().ends_with("failed: reason"));
    }

    #[test]
    fn every_line_is_read_to_the_last() {
        let mut seen = Vec::new();
        let status = lines(&mut shell("echo a; printf 'b\\377\\nc'; exit 3"), None, |line| seen.push(line.to_owned()));
        assert_eq!(status.unwrap().unwrap().code(), Some(3));
        assert_eq!(seen, ["a", "b\u{fffd}", "c"]);
    }

    #[test]
    fn a_program_that_falls_silent_is_killed_with_its_children() {
        let mut seen = 0;
        let mut command = shell("echo a; sleep 600 & sleep 600");
        assert!(lines(&mut command, Some(Duration::from_secs(1)), |_| seen += 1).unwrap().is_none());
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_limit() {
        let log = std::env::temp_dir().join(format!("cabrank-xtask-{}.log", std::process::id()));
        let ended = within(&mut shell("echo begun; exec sleep 600"), Duration::from_secs(1), &log).unwrap();
        fs::remove_file(log).unwrap();
        assert!(ended.status.is_none());
        assert_eq!(ended.output, "begun\n");
    }
}
