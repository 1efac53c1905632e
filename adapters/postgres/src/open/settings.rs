//! The settings of one attempt: completing the user's, and restricting the driver to one server.
//!
//! Hosts cannot be removed from settings. They are hidden if possible; otherwise all other settings are copied.

use super::ways::Way;
use crate::hosts::Place;
use crate::manager::PostgresManager;
use cabrank::Limit;
use postgres::Config;
use postgres::config::{Host, LoadBalanceHosts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Sets what the user left out.
pub(super) fn fill_in(config: &mut Config, manager: &PostgresManager, limit: Option<&Limit>) {
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if config.get_keepalives() {
        if config.get_keepalives_idle() == DRIVERS_KEEPALIVES_IDLE {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVES_INTERVAL);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVES_RETRIES);
        }
    }
    let of_pool = limit.filter(|_| config.get_application_name().is_none()).map(Limit::pool);
    if let Some(name) = manager.application_name.as_deref().or(of_pool) {
        config.application_name(name);
    }
}

/// Settings that restrict the driver to this way. The driver's error is that of the last host.
pub(super) fn for_one(config: &Config, way: &Way) -> Config {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let all_named = hosts.iter().all(|host| matches!(host, Host::Tcp(_)));
    let mut one = config.clone();
    match &way.place {
        #[cfg(unix)]
        Place::Socket(..) if hosts.len() == 1 => {}
        Place::Address(address) if all_named && addresses.is_empty() => among(&mut one, &way.name, *address),
        // The driver needs a name to call a connector.
        Place::Address(_) if all_named && addresses.len() == 1 && hosts.is_empty() => {
            one.host(&way.name);
        }
        Place::Address(_) if all_named && addresses.len() == 1 => {}
        _ => return alone(config, way),
    }
    one
}

/// Gives the settings' hosts an unused address, to which connecting fails at once, and appends this one.
fn among(config: &mut Config, name: &str, address: SocketAddr) {
    let hosts = config.get_hosts().len();
    if hosts > 1 {
        for _ in 0..hosts {
            config.hostaddr(NOBODY);
        }
        config.host(name).load_balance_hosts(LoadBalanceHosts::Disable);
    }
    if config.get_ports().len() > 1 {
        config.port(address.port());
    }
    config.hostaddr(address.ip());
}

/// Addresses and sockets cannot be hidden: this copies all other settings. Only a `notice_callback` cannot be copied.
fn alone(config: &Config, way: &Way) -> Config {
    let mut copy = without_hosts(config);
    match &way.place {
        Place::Address(address) => copy.host(&way.name).hostaddr(address.ip()).port(address.port()),
        Place::Name(name, port) => copy.host(name).port(*port),
        #[cfg(unix)]
        Place::Socket(folder, port) => copy.host_path(folder).port(*port),
    };
    copy
}

fn without_hosts(config: &Config) -> Config {
    let mut copy = Config::new();
    config.get_user().map(|user| copy.user(user));
    config.get_password().map(|password| copy.password(password));
    config.get_dbname().map(|name| copy.dbname(name));
    config.get_options().map(|options| copy.options(options));
    config.get_application_name().map(|name| copy.application_name(name));
    config.get_connect_timeout().map(|&span| copy.connect_timeout(span));
    config.get_tcp_user_timeout().map(|&span| copy.tcp_user_timeout(span));
    config.get_keepalives_interval().map(|span| copy.keepalives_interval(span));
    config.get_keepalives_retries().map(|retries| copy.keepalives_retries(retries));
    copy.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    copy.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    copy.channel_binding(config.get_channel_binding());
    copy.target_session_attrs(config.get_target_session_attrs());
    copy
}

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// Data unacknowledged for this long ends the connection. Keepalives do not run while data is in flight.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that is silent for a minute is dead. The driver's own two hours count as not set.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVES_RETRIES: u32 = 3;
const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::super::ways;
    use super::*;
    use postgres::config::SslNegotiation;

    fn chosen(settings: &str, number: usize) -> Config {
        let config: Config = settings.parse().expect("settings");
        let ways = ways::find(&config).expect("they make sense");
        for_one(&config, &ways[number])
    }

    fn hosts(config: &Config) -> (Vec<Host>, Vec<IpAddr>, Vec<u16>) {
        (config.get_hosts().to_vec(), config.get_hostaddrs().to_vec(), config.get_ports().to_vec())
    }

    fn tcp(name: &str) -> Host {
        Host::Tcp(name.to_owned())
    }

    #[test]
    fn the_driver_is_given_one_host_that_it_can_reach() {
        let second = IpAddr::from([127, 0, 0, 2]);
        let config = chosen("host=127.0.0.1,127.0.0.2 port=7,8", 1);
        assert_eq!(config.get_hostaddrs(), [NOBODY, NOBODY, second]);
        assert_eq!((config.get_hosts().len(), config.get_ports()), (3, &[7, 8, 8][..]));
        let config = chosen("host=127.0.0.2", 0);
        assert_eq!(hosts(&config), (vec![tcp("127.0.0.2")], vec![second], vec![]));
        let config = chosen("host=db hostaddr=127.0.0.2", 0);
        assert_eq!(hosts(&config), (vec![tcp("db")], vec![second], vec![]));
        let config = chosen("hostaddr=127.0.0.2", 0);
        assert_eq!(hosts(&config), (vec![tcp("127.0.0.2")], vec![second], vec![]));
        let config = chosen("host=a,b hostaddr=127.0.0.1,127.0.0.2 port=7,8", 1);
        assert_eq!(hosts(&config), (vec![tcp("b")], vec![second], vec![8]));
        let config = chosen("hostaddr=127.0.0.1,127.0.0.2", 1);
        assert_eq!(hosts(&config), (vec![tcp("127.0.0.2")], vec![second], vec![5432]));
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_and_a_host_beside_one_are_given_alone() {
        let socket = Host::Unix("/run/db".into());
        assert_eq!(hosts(&chosen("host=/run/db", 0)), (vec![socket.clone()], vec![], vec![]));
        assert_eq!(hosts(&chosen("host=127.0.0.1,/run/db port=7,8", 1)), (vec![socket], vec![], vec![8]));
        let first = IpAddr::from([127, 0, 0, 1]);
        let config = chosen("host=127.0.0.1,/run/db port=7,8", 0);
        assert_eq!(hosts(&config), (vec![tcp("127.0.0.1")], vec![first], vec![7]));
        let config = chosen("host=/run/db hostaddr=127.0.0.1", 0);
        assert_eq!(hosts(&config), (vec![tcp("127.0.0.1")], vec![first], vec![5432]), "the driver takes the address");
    }

    /// A canary: the settings in the driver's `Debug` are those that are copied, and their hosts.
    #[test]
    fn all_settings_but_those_of_hosts_are_copied() {
        let settings = "user=a password=b dbname=c options=d application_name=e sslmode=require sslnegotiation=direct \
            connect_timeout=1 tcp_user_timeout=2 keepalives=0 keepalives_idle=3 keepalives_interval=4 keepalives_retries=5 \
            channel_binding=require target_session_attrs=read-only";
        let all = |hosts: &str| format!("{settings} {hosts}").parse::<Config>().expect("settings");
        let config = all("hostaddr=127.0.0.1,127.0.0.2 port=7,8 load_balance_hosts=random");
        let copy = alone(&config, &ways::find(&config).expect("they make sense")[1]);
        let shown = format!("{copy:?}");
        assert_eq!(shown, format!("{:?}", all("host=127.0.0.2 hostaddr=127.0.0.2 port=8")));
        // Not in its `Debug`.
        let hidden = |config: &Config| (config.get_password().map(<[u8]>::to_vec), config.get_ssl_negotiation());
        assert_eq!(hidden(&copy), (Some(b"b".to_vec()), SslNegotiation::Direct));
        assert_eq!(shown.matches(": ").count(), 19, "a setting has come or gone: {shown}");
    }
}
