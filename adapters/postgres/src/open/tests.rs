//! Which host is tried next if names must be resolved: with look-ups that the tests control, and servers that close each connection.

use super::{names, open_by};
use crate::PostgresManager;
use cabrank::Limit;
use postgres::{Config, NoTls};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

#[test]
fn a_name_that_is_not_found_in_time_costs_its_share_and_the_next_host_is_dialled() {
    static HOLD: Mutex<()> = Mutex::new(());
    fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
        if name.starts_with("stuck") {
            drop(HOLD.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(vec![HERE])
    }
    // With different names, because late answers are kept.
    for (stuck, other) in [("stuck-1.example", "well.example"), ("stuck-2.example", "127.0.0.1")] {
        let held = HOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let server = HangsUp::listen();
        let opening = server.opening(&[stuck, other], resolve);
        assert_eq!(server.dialled(), HERE);
        opening.join().expect("no panic");
        drop(held);
    }
}

#[cfg(target_os = "linux")] // Other systems have only one loopback address.
#[test]
fn a_second_address_is_tried_after_the_first_of_all_hosts_and_a_literal_is_not_looked_up() {
    static LOOKED_UP: AtomicU32 = AtomicU32::new(0);
    fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
        LOOKED_UP.fetch_add(1, Ordering::SeqCst);
        match name {
            "two.example" => Ok(vec![HERE, loopback(2)]),
            "none.example" => Err(io::ErrorKind::NotFound.into()),
            _ => panic!("{name} is looked up"),
        }
    }
    let server = HangsUp::listen();
    let opening = server.opening(&["two.example", "none.example", "127.0.0.3"], resolve);
    assert_eq!([(); 3].map(|()| server.dialled()), [HERE, loopback(3), loopback(2)]);
    opening.join().expect("no panic");
    assert_eq!(LOOKED_UP.load(Ordering::SeqCst), 2);
}

#[test]
fn names_that_are_not_found_are_asked_for_once() {
    static LOOKED_UP: AtomicU32 = AtomicU32::new(0);
    fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
        LOOKED_UP.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::new(io::ErrorKind::NotFound, name))
    }
    let manager = PostgresManager::new(config(&["no.example", "nor.example"], 1), NoTls);
    let error = open_by(&manager, Some(&Limit::new(Duration::MAX)), resolve).expect_err("there is nobody");
    assert_eq!(crate::error::root(&error), "nor.example:1: nor.example; no.example:1: no.example");
    assert_eq!(LOOKED_UP.load(Ordering::SeqCst), 2);
}

/// A server on all loopback addresses that closes each connection as soon as it is open.
struct HangsUp(TcpListener);

impl HangsUp {
    fn listen() -> Self {
        Self(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port"))
    }

    /// Starts an attempt to open a connection, which may take a second.
    fn opening(&self, hosts: &[&str], resolve: names::Resolve) -> thread::JoinHandle<()> {
        let port = self.0.local_addr().expect("an address").port();
        let manager = PostgresManager::new(config(hosts, port), NoTls);
        thread::spawn(move || {
            let opened = open_by(&manager, Some(&Limit::new(Duration::from_secs(1))), resolve);
            assert!(opened.is_err(), "nobody serves");
        })
    }

    /// The address to which the next connection was made.
    fn dialled(&self) -> IpAddr {
        let (client, _) = self.0.accept().expect("a client");
        client.local_addr().expect("an address").ip()
    }
}

fn config(hosts: &[&str], port: u16) -> Config {
    let mut config = Config::new();
    config.user("nobody").port(port);
    for host in hosts {
        config.host(host);
    }
    config
}

fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
