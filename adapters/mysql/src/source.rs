//! The options to connect with: fixed, or from a callback before each connect.

use mysql::Opts;
use std::sync::Arc;

/// The source of the options.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Opts),
    /// Called before each connect.
    Asked(Arc<Ask>),
}

pub(crate) type Ask = dyn Fn() -> mysql::Result<Opts> + Send + Sync;

impl Source {
    /// The database's name: its server, with the port or by its Unix socket, and the name of the database if the options contain it.
    /// `None` for options from a callback.
    pub(crate) fn name(&self) -> Option<String> {
        let Self::Fixed(opts) = self else { return None };
        let server = match opts.get_socket() {
            Some(socket) => socket.to_owned(),
            None => format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port()),
        };
        let database = opts.get_db_name().map_or(String::new(), |name| format!("/{name}"));
        Some(server + &database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::OptsBuilder;

    #[test]
    fn a_database_is_called_by_its_server_and_its_name_and_never_by_a_user_or_password() {
        let name = |opts: Opts| Source::Fixed(opts).name();
        let by_url = |url| name(Opts::from_url(url).expect("a URL"));
        assert_eq!(by_url("mysql://ada:secret@db.example:3307/shop").as_deref(), Some("db.example:3307/shop"));
        assert_eq!(by_url("mysql://ada:secret@db.example").as_deref(), Some("db.example:3306"));
        assert_eq!(by_url("mysql://ada:secret@[::1]:7/shop").as_deref(), Some("[::1]:7/shop"));
        let by_socket =
            OptsBuilder::new().socket(Some("/run/mysqld/mysqld.sock")).db_name(Some("shop")).pass(Some("secret"));
        assert_eq!(name(by_socket.into()).as_deref(), Some("/run/mysqld/mysqld.sock/shop"));
        assert_eq!(Source::Asked(Arc::new(|| Ok(Opts::default()))).name(), None);
    }
}
