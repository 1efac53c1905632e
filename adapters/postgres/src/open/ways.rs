//! The ways to the servers: each address of each host, and the settings by which the driver takes that one and no other.

use super::{look_up, name};
use crate::error::provoke;
use cabrank::Limit;
use postgres::config::LoadBalanceHosts;
use postgres::{Config, Error};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// One address of one host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    /// As in the settings, for TLS.
    name: String,
    pub(super) address: SocketAddr,
}

/// All ways that the settings name, in the order of the hosts: a host that has several is tried again with its second after all hosts
/// were tried with their first. In random order where the load is to be balanced. None if the choice is the driver's: where several
/// hosts have an address in the settings, or these do not make sense.
pub(super) fn find(config: &Config, limit: Option<&Limit>) -> Result<Vec<Way>, Error> {
    let names: Vec<String> = config.get_hosts().iter().filter_map(name).collect();
    let (addresses, ports) = (config.get_hostaddrs(), config.get_ports());
    let hosts = names.len().max(addresses.len());
    if addresses.len() > 1 || !addresses.is_empty() && names.len() > 1 || ports.len() > 1 && ports.len() != hosts {
        return Ok(Vec::new());
    }
    let found = match addresses {
        [address] => vec![Ok(vec![*address])],
        _ => addresses_of(&names, limit)?,
    };
    if let (true, Some(Err(_))) = (found.iter().all(Result::is_err), found.first()) {
        let error = found.into_iter().find_map(Result::err);
        return Err(provoke(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
    }
    let mut ways = in_order(&names, ports, &found);
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        let random = RandomState::new();
        ways.sort_by_cached_key(|way| random.hash_one(way.address));
    }
    Ok(ways)
}

fn in_order(names: &[String], ports: &[u16], found: &[io::Result<Vec<IpAddr>>]) -> Vec<Way> {
    let addresses = |host: usize| found[host].as_deref().unwrap_or_default();
    let most = (0..found.len()).map(|host| addresses(host).len()).max().unwrap_or(0);
    let mut ways = Vec::new();
    for round in 0..most {
        for host in 0..found.len() {
            let Some(&address) = addresses(host).get(round) else { continue };
            let port = ports.get(host).or(ports.first()).copied().unwrap_or(5432);
            let name = names.get(host).cloned().unwrap_or_else(|| address.to_string());
            ways.push(Way { name, address: SocketAddr::new(address, port) });
        }
    }
    ways
}

fn addresses_of(names: &[String], limit: Option<&Limit>) -> Result<Vec<io::Result<Vec<IpAddr>>>, Error> {
    let literals: Option<Vec<_>> =
        names.iter().map(|name| name.parse().ok().map(|address| Ok(vec![address]))).collect();
    match literals {
        Some(found) => Ok(found),
        None => look_up(limit, || names.iter().map(|name| addresses_of_one(name)).collect()),
    }
}

fn addresses_of_one(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    } else {
        Ok(addresses)
    }
}

impl Way {
    /// Has the driver take this way alone. Settings forget no host, so the hosts that they name get an address that nobody has, to which
    /// connecting fails at once, and this one is appended. The driver's error is that of the last.
    pub(super) fn choose(&self, config: &mut Config) {
        let Self { name, address } = self;
        if !config.get_hostaddrs().is_empty() {
            // The one address in the settings. The driver wants a name before it calls a connector.
            if config.get_hosts().is_empty() {
                config.host(name);
            }
            return;
        }
        if config.get_hosts().len() == 1 {
            config.hostaddr(address.ip());
            return;
        }
        for _ in 0..config.get_hosts().len() {
            config.hostaddr(NOBODY);
        }
        config.host(name).hostaddr(address.ip()).load_balance_hosts(LoadBalanceHosts::Disable);
        if config.get_ports().len() > 1 {
            config.port(address.port());
        }
    }
}

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(settings: &str) -> Vec<(String, String)> {
        let found = find(&settings.parse().expect("settings"), None).expect("ways");
        found.into_iter().map(|way| (way.name, way.address.to_string())).collect()
    }

    fn way(name: &str, address: &str) -> (String, String) {
        (name.to_owned(), address.to_owned())
    }

    #[test]
    fn each_host_has_its_port_or_the_one_there_is_or_the_usual_one() {
        assert_eq!(ways("host=127.0.0.1"), [way("127.0.0.1", "127.0.0.1:5432")]);
        let both = |a, b| [way("127.0.0.1", a), way("127.0.0.2", b)];
        assert_eq!(ways("host=127.0.0.1,127.0.0.2"), both("127.0.0.1:5432", "127.0.0.2:5432"));
        assert_eq!(ways("host=127.0.0.1,127.0.0.2 port=7"), both("127.0.0.1:7", "127.0.0.2:7"));
        assert_eq!(ways("host=127.0.0.1,127.0.0.2 port=7,8"), both("127.0.0.1:7", "127.0.0.2:8"));
        assert_eq!(ways("hostaddr=127.0.0.1"), [way("127.0.0.1", "127.0.0.1:5432")]);
        assert_eq!(ways("host=db hostaddr=127.0.0.1 port=9"), [way("db", "127.0.0.1:9")]);
    }

    #[test]
    fn what_the_driver_must_choose_or_refuse_is_left_to_it() {
        for settings in
            ["hostaddr=127.0.0.1,127.0.0.2", "host=a,b hostaddr=127.0.0.1", "host=127.0.0.1,127.0.0.2 port=1,2,3"]
        {
            assert_eq!(ways(settings), [], "{settings}");
        }
    }

    #[test]
    fn a_second_address_is_tried_after_the_first_of_all_hosts() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        let found = [Ok(vec![ip(1), ip(2)]), Err(io::ErrorKind::NotFound.into()), Ok(vec![ip(3)])];
        let order: Vec<_> =
            in_order(&names, &[1, 2, 3], &found).into_iter().map(|way| way.address.to_string()).collect();
        assert_eq!(order, ["10.0.0.1:1", "10.0.0.3:3", "10.0.0.2:1"]);
    }

    #[test]
    fn the_driver_is_given_one_host_that_it_can_reach() {
        let mut config: Config = "host=127.0.0.1,127.0.0.2 port=7,8".parse().expect("settings");
        let chosen = find(&config, None).expect("ways").remove(1);
        chosen.choose(&mut config);
        assert_eq!(config.get_hostaddrs(), [NOBODY, NOBODY, IpAddr::from([127, 0, 0, 2])]);
        assert_eq!((config.get_hosts().len(), config.get_ports()), (3, &[7, 8, 8][..]));
    }
}
