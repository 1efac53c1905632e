//! The settings' ways to the servers: addresses, names to be resolved, and Unix sockets.
//!
//! Pure. `names.rs` resolves the names.

use crate::hosts::Place;
use postgres::Config;
use postgres::config::Host;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    /// As in the settings, for TLS.
    pub(super) name: String,
    pub(super) place: Place,
    /// The name whose look-up found the place.
    pub(super) found_by: Option<Place>,
}

/// All ways in the settings, in their order. `None` if the settings are invalid by the driver's rules.
pub(super) fn find(config: &Config) -> Option<Vec<Way>> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let each_has_one = hosts.is_empty() || addresses.is_empty() || hosts.len() == addresses.len();
    if count == 0 || !each_has_one || ports.len() > 1 && ports.len() != count {
        return None;
    }
    let port = |number| ports.get(number).or(ports.first()).copied().unwrap_or(5432);
    Some((0..count).map(|number| Way::to(hosts.get(number), addresses.get(number), port(number))).collect())
}

/// The database's name: the settings' hosts with their ports, and the database if the settings contain it. (Its default is the user's
/// name, which is omitted.)
pub(crate) fn name_of_database(config: &Config) -> Option<String> {
    let hosts: Vec<_> = find(config)?.iter().map(Way::shown).collect();
    let database = config.get_dbname().map_or(String::new(), |name| format!("/{name}"));
    Some(hosts.join(",") + &database)
}

/// Into a new random order.
pub(super) fn shuffle(ways: &mut [Way]) {
    let random = RandomState::new();
    ways.sort_by_cached_key(|way| random.hash_one(&way.place));
}

impl Way {
    fn to(host: Option<&Host>, address: Option<&IpAddr>, port: u16) -> Self {
        let (name, place) = match (host, address) {
            (Some(Host::Tcp(name)), Some(&address)) => (name.clone(), Place::Address(SocketAddr::new(address, port))),
            (_, Some(&address)) => (address.to_string(), Place::Address(SocketAddr::new(address, port))),
            (Some(Host::Tcp(name)), None) => (name.clone(), by_name(name, port)),
            #[cfg(unix)]
            (Some(Host::Unix(folder)), None) => (String::new(), Place::Socket(folder.clone(), port)),
            (None, None) => (String::new(), by_name("", port)),
        };
        Self { name, place, found_by: None }
    }

    /// A host, by its name in the settings, and its port.
    fn shown(&self) -> String {
        match &self.place {
            Place::Address(address) if self.name.parse::<IpAddr>().is_err() => {
                format!("{}:{}", self.name, address.port())
            }
            place => place.to_string(),
        }
    }

    /// The ways to these addresses of its name.
    pub(super) fn at(&self, addresses: &[IpAddr], port: u16) -> Vec<Self> {
        let to = |&address| Self {
            name: self.name.clone(),
            place: Place::Address(SocketAddr::new(address, port)),
            found_by: Some(self.place.clone()),
        };
        addresses.iter().map(to).collect()
    }
}

/// By its name in the settings.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.found_by, &self.place) {
            (Some(name), Place::Address(address)) => write!(f, "{name} ({})", address.ip()),
            (_, place) => place.fmt(f),
        }
    }
}

fn by_name(name: &str, port: u16) -> Place {
    match name.parse() {
        Ok(address) => Place::Address(SocketAddr::new(address, port)),
        Err(_) => Place::Name(name.to_owned(), port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_called_by_its_hosts_and_its_name_and_never_by_a_user_or_password() {
        let name = |settings: &str| name_of_database(&settings.parse().expect("settings"));
        let cases = [
            ("postgres://ada:secret@db.example/shop", "db.example:5432/shop"),
            ("postgres://ada:secret@a:7,b:8/shop", "a:7,b:8/shop"),
            ("postgres://ada:secret@[::1]:7/shop?connect_timeout=3", "[::1]:7/shop"),
            ("host=db hostaddr=127.0.0.1 port=9 dbname=shop user=ada", "db:9/shop"),
            ("hostaddr=127.0.0.1 dbname=shop", "127.0.0.1:5432/shop"),
            ("host=/run/postgresql user=ada password=secret", "/run/postgresql/.s.PGSQL.5432"),
            ("host=db user=ada password=secret", "db:5432"),
        ];
        for (settings, expected) in cases {
            assert_eq!(name(settings).as_deref(), Some(expected), "{settings}");
        }
        assert_eq!(name("dbname=shop"), None, "there is no host");
    }

    fn ways(settings: &str) -> Vec<(String, String)> {
        let found = find(&settings.parse().expect("settings")).unwrap_or_default();
        found.into_iter().map(|way| (way.name, way.place.to_string())).collect()
    }

    fn way(name: &str, place: &str) -> (String, String) {
        (name.to_owned(), place.to_owned())
    }

    #[test]
    fn each_host_has_its_port_or_the_one_there_is_or_the_usual_one() {
        assert_eq!(ways("host=127.0.0.1"), [way("127.0.0.1", "127.0.0.1:5432")]);
        let both = |a, b| [way("127.0.0.1", a), way("127.0.0.2", b)];
        assert_eq!(ways("host=127.0.0.1,127.0.0.2"), both("127.0.0.1:5432", "127.0.0.2:5432"));
        assert_eq!(ways("host=127.0.0.1,127.0.0.2 port=7"), both("127.0.0.1:7", "127.0.0.2:7"));
        assert_eq!(ways("host=127.0.0.1,127.0.0.2 port=7,8"), both("127.0.0.1:7", "127.0.0.2:8"));
        assert_eq!(ways("hostaddr=127.0.0.1,127.0.0.2 port=7,8"), both("127.0.0.1:7", "127.0.0.2:8"));
        assert_eq!(ways("host=db hostaddr=127.0.0.1 port=9"), [way("db", "127.0.0.1:9")]);
        let pairs = [way("a", "127.0.0.1:9"), way("b", "127.0.0.2:9")];
        assert_eq!(ways("host=a,b hostaddr=127.0.0.1,127.0.0.2 port=9"), pairs);
        assert_eq!(ways("host=a,::1 port=9"), [way("a", "a:9"), way("::1", "[::1]:9")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_a_way_among_others() {
        let both = [way("", "/run/db/.s.PGSQL.7"), way("a", "a:8")];
        assert_eq!(ways("host=/run/db,a port=7,8"), both);
        assert_eq!(ways("host=/run/db hostaddr=127.0.0.1"), [way("127.0.0.1", "127.0.0.1:5432")]);
    }

    #[test]
    fn what_the_driver_refuses_has_none() {
        for settings in
            ["user=x", "host=a,b hostaddr=127.0.0.1", "host=127.0.0.1,127.0.0.2 port=1,2,3", "host=a port=1,2"]
        {
            let config: Config = settings.parse().expect("settings");
            assert_eq!(find(&config), None, "{settings}");
            let refusal = config.connect(postgres::NoTls).err().expect("a refusal").to_string();
            assert_eq!(refusal, "invalid configuration", "{settings}");
        }
    }
}
