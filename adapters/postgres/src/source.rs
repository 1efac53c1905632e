//! The source of the settings: fixed, from a callback before each connect, or from libpq's environment variables.

use crate::error::BoxError;
use postgres::{Config, Error};
use std::sync::Arc;

#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Box<Config>),
    /// Called before each connect.
    Asked(Arc<Ask>),
}

pub(crate) type Ask = dyn Fn() -> Result<Config, BoxError> + Send + Sync;

/// The settings in libpq's environment variables, read by `variable`.
pub(crate) fn from_libpq_env(variable: impl Fn(&str) -> Option<String>) -> Result<Config, Error> {
    let mut settings = String::new();
    for (name, key) in VARIABLES {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            settings.push_str(&format!("{key}='{value}' "));
        }
    }
    let mut config: Config = settings.parse()?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host("localhost");
    }
    Ok(config)
}

const VARIABLES: [(&str, &str); 14] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::config::{Host, SslMode};

    #[test]
    fn the_variables_of_libpq_are_understood() {
        let config = from_libpq_env(|name| {
            let value = match name {
                "PGHOST" => "db.example,db2.example",
                "PGPORT" => "5433",
                "PGUSER" => "o'neill",
                "PGPASSWORD" => r"a\b 'c'",
                "PGSSLMODE" => "require",
                "PGDATABASE" => "",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .expect("settings");
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".into()), Host::Tcp("db2.example".into())]);
        assert_eq!((config.get_ports(), config.get_dbname()), (&[5433][..], None));
        assert_eq!((config.get_user(), config.get_password()), (Some("o'neill"), Some(&br"a\b 'c'"[..])));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn without_any_variable_it_is_this_machine() {
        let config = from_libpq_env(|_| None).expect("settings");
        assert_eq!(config.get_hosts(), [Host::Tcp("localhost".into())]);
    }

    #[test]
    fn a_variable_that_cannot_be_is_an_error() {
        assert!(from_libpq_env(|name| (name == "PGPORT").then(|| "many".into())).is_err());
    }
}
