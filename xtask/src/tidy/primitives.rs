//! Locks, threads and clocks of the core come from `pool/src/sync.rs`; otherwise loom could not replace them in a model, and a test could
//! not move the time.

use super::{Finding, code};
use crate::workspace::File;

/// The items of std's `sync` and `thread` that a file of the core may use. It may not import the modules themselves, either.
const ALLOWED: &[&str] =
    &["std::sync::Arc", "std::sync::Weak", "std::thread::panicking", "std::thread::Result", "std::thread::ThreadId"];

const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now"];

pub(super) fn through_sync(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| concerned(&file.path)) {
        let code = code::shipped(&file.text);
        for found in code::paths(&code, "std").into_iter().chain(code::paths(&code, "core")) {
            let path = found.path.replacen("core::", "std::", 1);
            let primitive = ["std::sync", "std::thread"].iter().any(|module| within(&path, module));
            if primitive && !ALLOWED.iter().any(|allowed| within(&path, allowed)) {
                findings.push(Finding::new(&file.path, found.line, format!("`{path}` must come through sync.rs")));
            }
        }
        for (line, text) in code.lines().enumerate() {
            for clock in CLOCKS.iter().filter(|clock| text.contains(**clock)) {
                findings.push(Finding::new(&file.path, line + 1, format!("`{clock}` must come through sync.rs")));
            }
        }
    }
    findings
}

fn concerned(path: &str) -> bool {
    let tests = path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.ends_with("/models.rs")
        || path.contains("/models/");
    path.starts_with("pool/src/") && path.ends_with(".rs") && path != "pool/src/sync.rs" && !tests
}

fn within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        through_sync(&[file(path, text)]).len()
    }

    #[test]
    fn primitives_of_std_are_found_however_they_are_imported() {
        for text in [
            "use std::sync::Mutex;",
            "use std::{fmt, sync::{Arc, Condvar}};",
            "use std::sync::atomic::AtomicUsize;",
            "use std::thread;",
            "use std::sync::{self, Arc};",
            "fn f() { std::thread::sleep(d) }",
            "fn f() { Instant::now() }",
            "fn f() { std::time::SystemTime::now() }",
        ] {
            assert_eq!(complaints("pool/src/state.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn what_knows_no_clock_and_takes_no_lock_is_allowed() {
        let text =
            "use std::{sync::{Arc, Weak}, time::Instant};\nfn f() { std::thread::panicking() }\n// Instant::now\n";
        assert_eq!(complaints("pool/src/state.rs", text), 0);
        assert_eq!(complaints("pool/src/state.rs", "#[cfg(test)]\nmod tests { use std::thread; }"), 0);
        assert_eq!(complaints("pool/src/sync.rs", "use std::sync::Mutex;"), 0);
        assert_eq!(complaints("adapters/sqlite/src/lib.rs", "use std::sync::Mutex;"), 0);
    }
}
