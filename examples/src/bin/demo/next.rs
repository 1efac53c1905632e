//! The end of the demo: the documents to read and the programs to run next.

pub(crate) const NEXT: &str = "
Where to go next

   README.md            the first lines of code for each driver, and a comparison with other pools
   docs/operating.md    sizes and time-outs, what each error means, fail-over, alerts
   docs/promises.md     what the pool promises, each promise with its tests
   docs/async.md        tasks and async handlers
   docs/diesel.md       Diesel, and other users of r2d2
   docs/tracking.md     what a reset of a session undoes
   docs/monitor.md      the live page

   cargo run -- --watch                       this demo with a live page, and then a load to watch
   cargo run --bin quick_start                the SQLite example of the README; leaves shop.db
   cargo run --bin queries                    rows as your own type, prepared statements, errors
   cargo run --bin transactions               commit, roll back, retry after a conflict, only read
   cargo run --bin database_service           a service type that owns the pool
   cargo run --bin web                        a web service: async handlers, probes, metrics, a graceful end
   cargo run --bin expiring_credentials       a password that changes while the pool works
   cargo run --bin settings                   settings from a file and from the environment

   They use SQLite. For a server add -- --url postgres://USER:PASSWORD@HOST/DATABASE or mysql://..
   (all but quick_start and settings; the demo, too).
";

#[cfg(test)]
mod tests {
    use super::NEXT;
    use std::fs;
    use std::path::Path;

    #[test]
    fn it_names_documents_that_exist_and_every_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let words = NEXT.split_whitespace();
        let documents: Vec<_> = words.filter(|word| word.ends_with(".md")).collect();
        assert_eq!(documents.len(), 7);
        assert!(documents.iter().all(|path| root.join(path).exists()), "{documents:?}");
        for program in fs::read_dir(root.join("examples/src/bin")).expect("the programs") {
            let name = program.expect("a program").path().file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(name == "demo" || NEXT.contains(&format!("--bin {name} ")), "{name}");
        }
    }
}
