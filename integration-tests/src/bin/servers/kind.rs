//! The kinds of servers that can be requested.

use anyhow::{Context, Result};
use integration_tests::Engine;
use integration_tests::launch::{For, Launch, PASSWORD};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    /// In front of that PostgreSQL.
    Pgbouncer,
    Mysql,
    Mariadb,
    /// For crates without an adapter of ours.
    Redis,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Postgres, Self::Pgbouncer, Self::Mysql, Self::Mariadb, Self::Redis];

    pub(crate) fn named(name: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|kind| kind.name() == name).with_context(|| format!("{name} is none of {}", names()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Pgbouncer => "pgbouncer",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Redis => "redis",
        }
    }

    /// The variable through which tests find it.
    pub(crate) fn url_variable(self) -> String {
        format!("CABRANK_{}_URL", self.name().to_uppercase())
    }

    /// The engine of the driver that logs in, if we have one.
    pub(crate) fn engine(self) -> Option<Engine> {
        match self {
            Self::Postgres | Self::Pgbouncer => Some(Engine::Postgres),
            Self::Mysql => Some(Engine::Mysql),
            Self::Mariadb => Some(Engine::Mariadb),
            Self::Redis => None,
        }
    }

    /// The launch of one for the tests of adapters. `behind` is the address of the server behind PgBouncer.
    pub(crate) fn launch(self, behind: &str) -> Launch {
        let mut launch = match self.engine() {
            Some(_) if self == Self::Pgbouncer => Launch::of_pgbouncer(behind, "postgres", PASSWORD),
            Some(engine) => return Launch::of(engine, For::Adapters),
            None => return Launch::of_redis(),
        };
        // Fewer sessions than the tests have threads, so the threads get each other's sessions.
        launch.variables.push(("DEFAULT_POOL_SIZE", "3".into()));
        launch.variables.push(("MAX_PREPARED_STATEMENTS", "200".into()));
        launch
    }
}
