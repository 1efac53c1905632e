//! The parameters for starting a server's container: its image, its port, its settings for tests. `container` starts it.

use cabrank_testing::servers;
use cabrank_testing::servers::Engine;
use std::fs;
use std::path::Path;

/// The parameters of one container.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The image, `name:tag`.
    pub image: String,
    /// The server's port inside.
    pub port: u16,
    /// The environment of its program.
    pub variables: Vec<(&'static str, String)>,
    /// The arguments of its program.
    pub arguments: Vec<&'static str>,
    /// The program, if not the image's own. It finds this machine by the name `host.docker.internal`.
    pub entrypoint: Option<&'static str>,
    /// A URL of the server with user, password and the default database; host and port are replaced.
    pub url: &'static str,
}

/// The users of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// The suite in `tests/it`. It has few connections, so a test can fill the server.
    Suite,
    /// The tests of adapters and examples, which run in parallel and never fill a server.
    Adapters,
}

impl Launch {
    /// For an engine's server.
    ///
    /// Its data survives a crash of the server, but not of the machine. TLS uses the certificate of PostgreSQL's packages; MySQL and
    /// MariaDB create one themselves.
    pub fn of(engine: Engine, whose: For) -> Self {
        let password = |variable| vec![(variable, PASSWORD.to_owned())];
        let most = |suite, adapters| if whose == For::Suite { suite } else { adapters };
        match engine {
            Engine::Postgres => Self {
                image: image("CABRANK_POSTGRES_IMAGE", "postgres:18"),
                port: 5432,
                variables: password("POSTGRES_PASSWORD"),
                arguments: vec![
                    most("-cmax_connections=60", "-cmax_connections=400"),
                    "-cfsync=off",
                    "-cfull_page_writes=off",
                    "-cssl=on",
                    "-cssl_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem",
                    "-cssl_key_file=/etc/ssl/private/ssl-cert-snakeoil.key",
                ],
                url: "postgres://postgres:cabrank@localhost/postgres?connect_timeout=5",
                ..Self::default()
            },
            Engine::Mysql => Self {
                image: image("CABRANK_MYSQL_IMAGE", "mysql:9"),
                port: 3306,
                variables: password("MYSQL_ROOT_PASSWORD"),
                arguments: vec![
                    most("--max-connections=60", "--max-connections=400"),
                    "--skip-log-bin",
                    "--innodb-flush-method=nosync",
                    "--innodb-flush-log-at-trx-commit=2",
                    "--innodb-doublewrite=OFF",
                ],
                url: "mysql://root:cabrank@localhost/mysql",
                ..Self::default()
            },
            Engine::Mariadb => Self {
                image: image("CABRANK_MARIADB_IMAGE", "mariadb:11.8"),
                port: 3306,
                variables: password("MARIADB_ROOT_PASSWORD"),
                arguments: mariadb_arguments(whose),
                url: "mysql://root:cabrank@localhost/mysql",
                ..Self::default()
            },
            Engine::Sqlite => unreachable!("SQLite has no server"),
        }
    }

    /// For a PostgreSQL that follows the one at `primary`, which [`of`](Self::of) starts for the suite. It copies the data at its first
    /// start.
    pub fn of_standby(primary: &str) -> Self {
        let like = Self::of(Engine::Postgres, For::Suite);
        let variables = vec![("PRIMARY", primary.to_owned()), ("PGPASSWORD", PASSWORD.to_owned())];
        Self { variables, arguments: vec!["bash", "-c", FOLLOW], ..like }
    }

    /// For PgBouncer in transaction mode, in front of a server at `host`. The caller may add variables.
    pub fn of_pgbouncer(host: &str, user: &str, password: &str) -> Self {
        let variables = [
            ("DB_HOST", host),
            ("DB_USER", user),
            ("DB_PASSWORD", password),
            ("AUTH_TYPE", "scram-sha-256"),
            ("POOL_MODE", "transaction"),
        ];
        Self {
            image: image("CABRANK_PGBOUNCER_IMAGE", "edoburu/pgbouncer:v1.25.1-p0"),
            port: 5432,
            variables: variables.map(|(name, value)| (name, value.to_owned())).into(),
            arguments: Vec::new(),
            url: "postgres://postgres:cabrank@localhost/postgres",
            ..Self::default()
        }
    }

    /// For Redis. It stores nothing on disk.
    pub fn of_redis() -> Self {
        Self {
            image: image("CABRANK_REDIS_IMAGE", "redis:8"),
            port: 6379,
            variables: Vec::new(),
            arguments: vec!["--requirepass", PASSWORD, "--save", ""],
            url: "redis://:cabrank@localhost/",
            ..Self::default()
        }
    }

    /// For HAProxy in front of PostgreSQL servers, with that configuration.
    pub fn of_haproxy(config: String) -> Self {
        Self {
            image: image("CABRANK_HAPROXY_IMAGE", "haproxy:lts"),
            port: 5432,
            variables: vec![("CONFIG", config)],
            arguments: vec![
                "sh",
                "-c",
                r#"printf %s "$CONFIG" > /tmp/haproxy.cfg && exec haproxy -f /tmp/haproxy.cfg"#,
            ],
            url: "postgres://postgres:cabrank@localhost/postgres?connect_timeout=5",
            ..Self::default()
        }
    }

    /// For Prometheus, with these texts as the alerts and their tests. It scrapes the targets in a file, which does not exist at first.
    pub fn of_prometheus(alerts: String, tests: String) -> Self {
        Self {
            image: image("CABRANK_PROMETHEUS_IMAGE", "prom/prometheus:v3.5.0"),
            port: 9090,
            variables: vec![("CONFIG", SCRAPE.to_owned()), ("ALERTS", alerts), ("TESTS", tests)],
            arguments: vec!["-c", START_PROMETHEUS],
            entrypoint: Some("/bin/sh"),
            url: "http://localhost/",
        }
    }
}

/// It obeys limits for single accounts only if it has one for all, and shows no connection attributes by default.
fn mariadb_arguments(whose: For) -> Vec<&'static str> {
    let own: &[_] = match whose {
        For::Suite => &["--max-connections=60"],
        For::Adapters => &[
            "--max-connections=400",
            // MySQL has the default, so the adapter meets both.
            "--innodb-rollback-on-timeout=ON",
            "--max-user-connections=390",
            "--performance-schema=ON",
        ],
    };
    let common = ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF"];
    [own, &common].concat()
}

/// How to run the tests of an engine, for a message that there is no server.
pub(crate) fn advice(variable: &str) -> String {
    format!(
        "Either `cargo xtask test --setup` gets Docker and the images, or {variable} names a server, \
         or CABRANK_SKIP_SERVERS=1 skips these tests."
    )
}

/// An image's name and tag: from the environment, else from the workspace's `.env`, where `cargo xtask images` writes the stand-ins that
/// it built, else the official one.
fn image(variable: &str, official: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env");
    let text = fs::read_to_string(file).unwrap_or_default();
    let written = text.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    servers::variable(variable).or(written.map(str::to_owned)).unwrap_or_else(|| official.to_owned())
}

/// The image's own script runs programs other than the server as root.
const FOLLOW: &str = r#"
set -e
data=/var/lib/postgresql/standby
become="setpriv --reuid=postgres --regid=postgres --init-groups"
install -d -o postgres -g postgres -m 700 "$data" /var/run/postgresql
if [ ! -s "$data/PG_VERSION" ]; then
    $become pg_basebackup --host="$PRIMARY" --username=postgres --pgdata="$data" --write-recovery-conf --wal-method=stream --checkpoint=fast
fi
exec $become postgres -D "$data" -cmax_connections=60 -cfsync=off
"#;

/// The files come in variables, because the image's own user may write nowhere else.
const START_PROMETHEUS: &str = r#"
cd /tmp && printf %s "$CONFIG" > prometheus.yml && printf %s "$ALERTS" > alerts.yml && printf %s "$TESTS" > alerts.test.yml
exec /bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data
"#;

/// Often, because a test must not take minutes.
const SCRAPE: &str = r#"
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: test
    file_sd_configs:
      - {files: [targets.json], refresh_interval: 1s}
"#;

/// The password in the URLs.
pub const PASSWORD: &str = "cabrank";
