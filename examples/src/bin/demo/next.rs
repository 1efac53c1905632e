//! The end of the demo: the documents to read and the programs to run next.

use examples::Database;

/// Returns the text. The first document is the one about the database in use.
pub(crate) fn next(database: &Database) -> String {
    let (adapter, name) = match database {
        Database::Sqlite(_) => ("sqlite", "SQLite"),
        Database::Postgres(_) => ("postgres", "PostgreSQL"),
        Database::Mysql(_) => ("mysql", "MySQL and MariaDB"),
    };
    let readme = format!("adapters/{adapter}/README.md");
    format!(
        "
Where to go next

   {readme:<29} read this first: {name} in your code
   docs/operating.md             sizes and time-outs, what each error means, fail-over, alerts
   docs/async.md                 tasks and async handlers
   docs/promises.md              what the pool promises, each promise with its tests
   README.md                     all documents, and a comparison with other pools

   In your Cargo.toml, with the path to this folder:

   [dependencies]
   cabrank-{adapter} = {{ path = \"../cabrank/adapters/{adapter}\" }}
{PROGRAMS}"
    )
}

const PROGRAMS: &str = "
   cargo run -- --watch                  this demo with a live page, and then a load to watch
   cargo run --bin quick_start           the SQLite example of README.md; leaves shop.db
   cargo run --bin queries               rows as your own type, prepared statements, errors
   cargo run --bin transactions          commit, roll back, retry after a conflict, read-only
   cargo run --bin database_service      a service type that owns the pool
   cargo run --bin web                   a web service: async handlers, probes, metrics, graceful shutdown
   cargo run --bin expiring_credentials  rotating credentials
   cargo run --bin settings              settings from a file and from the environment

   They use SQLite. For a server add -- --url postgres://USER:PASSWORD@HOST/DATABASE or mysql://..
   `--url` also works for the demo; not for quick_start and settings.
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn it_names_documents_that_exist_and_every_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        for database in [Database::Postgres(String::new()), Database::Mysql(String::new())] {
            let text = next(&database);
            let documents =
                text.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| word.ends_with(".md"));
            let documents: Vec<_> = documents.collect();
            assert_eq!(documents.len(), 5);
            assert!(documents.iter().all(|path| root.join(path).exists()), "{documents:?}");
            for program in fs::read_dir(root.join("examples/src/bin")).expect("the programs") {
                let name =
                    program.expect("a program").path().file_stem().expect("a name").to_string_lossy().into_owned();
                assert!(name == "demo" || text.contains(&format!("--bin {name} ")), "{name}");
            }
        }
    }
}
