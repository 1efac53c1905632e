//! Opening a name with several addresses, and the treatment of servers in the wrong role, with fake servers. On Linux, which has more
//! than one loopback address.

mod fake;

use super::trying::{Trying, weight};
use super::{open, options};
use crate::connection::Connection;
use crate::error::{lasting, wrong_role};
use crate::manager::MySqlManager;
use crate::role::Role;
use cabrank::{CloseReason, Fault, GetError, Limit, Manager, Pool, SessionPolicy, SetUp};
use fake::{Fake, two_listeners};
use mysql::prelude::Queryable;
use mysql::{DriverError, Error, MySqlError, OptsBuilder, Result};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

fn at(address: SocketAddr) -> OptsBuilder {
    let host = address.ip().to_string();
    let opts = OptsBuilder::new().ip_or_hostname(Some(host)).tcp_port(address.port()).user(Some("app"));
    opts.max_allowed_packet(Some(1 << 22))
}

/// Leads to this server alone.
fn manager(server: &Fake) -> MySqlManager {
    MySqlManager::new(at(server.address))
}

/// As if the host name in the options had these addresses.
fn open_one_of(manager: &MySqlManager, addresses: [SocketAddr; 2]) -> Result<Connection> {
    let limit = Limit::new(Duration::from_secs(60));
    let opts = options(manager, None)?;
    Trying { manager, opts, limit: Some(&limit) }.one_after_another(addresses.to_vec())
}

fn fault_of(manager: &MySqlManager, opened: Result<Connection>) -> (Fault, String) {
    let error = opened.expect_err("refused");
    (manager.fault(&error), error.to_string())
}

#[test]
fn the_address_with_the_right_role_is_found_and_remembered() {
    for (role, is_replica) in [(Role::Primary, [true, false]), (Role::Standby, [false, true])] {
        let [wrong, right] = Fake::two();
        wrong.set_read_only(is_replica[0]);
        right.set_read_only(is_replica[1]);
        let manager = manager(&wrong).role(role);
        for _ in 0..3 {
            let conn = open_one_of(&manager, [wrong.address, right.address]).expect("the second address");
            assert_eq!(conn.address, Some(right.address), "{role:?}");
        }
        assert_eq!((wrong.log_ins(), right.log_ins()), (1, 3), "{role:?}: one look is enough");
    }
}

#[test]
fn after_a_change_of_roles_the_other_address_is_found() {
    let [old, new] = Fake::two();
    new.set_read_only(true);
    let manager = manager(&old).role(Role::Primary);
    let opened = || open_one_of(&manager, [old.address, new.address]).map(|conn| conn.address);
    assert_eq!(opened().expect("the first"), Some(old.address));
    old.set_read_only(true);
    let (fault, why) = fault_of(&manager, open_one_of(&manager, [old.address, new.address]));
    assert_eq!(fault, Fault::WrongRole, "{why}");
    new.set_read_only(false);
    assert_eq!(opened().expect("the second"), Some(new.address));
}

/// It accepts connections, like the kernel of a frozen server, and sends nothing.
#[test]
fn a_frozen_address_costs_one_opening_its_share_and_the_next_ones_nothing() {
    for role in [Role::Any, Role::Primary] {
        let (frozen, listener) = two_listeners();
        let server = Fake::behind(listener);
        let manager = manager(&server).role(role);
        for _ in 0..3 {
            let addresses = [frozen.local_addr().expect("an address"), server.address];
            let conn = open_one_of(&manager, addresses).expect("the second address");
            assert_eq!(conn.address, Some(server.address));
        }
        assert_eq!(connections(&frozen), 1, "{role:?}");
    }
}

/// The number of connections that wait to be accepted.
fn connections(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).expect("a setting");
    std::iter::from_fn(|| listener.accept().ok()).count()
}

#[test]
fn of_several_errors_the_one_that_tells_most_is_told() {
    let (dead, listener) = two_listeners();
    let nobody = dead.local_addr().expect("an address");
    drop(dead);
    let replica = Fake::behind(listener).read_only();
    let primary_alone = |server: &Fake| manager(server).role(Role::Primary);
    for addresses in [[nobody, replica.address], [replica.address, nobody]] {
        let manager = primary_alone(&replica);
        let (fault, why) = fault_of(&manager, open_one_of(&manager, addresses));
        assert_eq!(fault, Fault::WrongRole, "{why}");
    }
    let [full, replica] = Fake::two();
    let (full, replica) = (full.full(), replica.read_only());
    for addresses in [[full.address, replica.address], [replica.address, full.address]] {
        let manager = primary_alone(&replica);
        let (fault, why) = fault_of(&manager, open_one_of(&manager, addresses));
        assert_eq!(fault, Fault::Capacity, "{why}");
    }
}

#[test]
fn what_may_pass_is_heavier_than_what_comes_again_at_one_address() {
    let of_server = |code| Error::MySqlError(MySqlError { state: "HY000".into(), message: "as you were".into(), code });
    let errors =
        [Error::DriverError(DriverError::ConnectTimeout), of_server(1045), wrong_role("it is".into()), of_server(1040)];
    assert_eq!(errors.each_ref().map(weight), [0, 1, 2, 3]);
    assert_eq!(weight(&lasting("a certificate")), 1);
    assert_eq!(weight(&of_server(9001)), 2);
}

#[test]
fn what_init_writes_does_not_hide_the_role() {
    let server = Fake::start().read_only();
    let writing = || MySqlManager::new(at(server.address).init(vec!["INSERT INTO log_ins VALUES ()"]));
    for (role, expected, sent) in
        [(Role::Primary, Fault::WrongRole, 0), (Role::Any, Fault::Statement, 1), (Role::Standby, Fault::Permanent, 2)]
    {
        let manager = writing().role(role);
        let (fault, why) = fault_of(&manager, open(&manager, None));
        assert_eq!(fault, expected, "{role:?}: {why}");
        assert_eq!(server.texts("INSERT"), sent, "{role:?}");
    }
    // Connections that wait in the accept queue are not refused.
    for role in [Role::Primary, Role::Any] {
        server.set_read_only(true);
        let pool = Pool::builder().max_size(1).build_lazy(writing().role(role)).expect("a pool");
        let error = pool.get_timeout(Duration::from_millis(300)).expect_err("it is read-only");
        assert!(matches!(error, GetError::Timeout(_)), "{role:?}: {error:?}");
        server.set_read_only(false);
        pool.get_timeout(PATIENCE).unwrap_or_else(|error| panic!("{role:?}: {error:?}"));
    }
}

#[test]
fn a_reset_finds_the_role_before_it_runs_init_again() {
    let server = Fake::start();
    let manager = MySqlManager::new(at(server.address).init(vec!["INSERT INTO log_ins VALUES ()"]));
    let pool = Pool::builder().max_size(1).build(manager.role(Role::Primary)).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    server.set_read_only(true);
    conn.query_drop("INSERT INTO t VALUES (1)").expect_err("it is read-only");
    drop(conn);
    pool.get_timeout(Duration::from_millis(300)).expect_err("it is read-only");
    assert_eq!(pool.stats().closed.by(CloseReason::WrongRole), 1, "{:?}", pool.stats());
    assert_eq!(server.texts("INSERT INTO log_ins"), 1);
}

/// After `init` the adapter asks the server how it reads texts, after `on_open` it does not.
#[test]
fn character_sets_set_by_on_open_cost_a_reset_a_loan_and_by_init_none() {
    let set = "SET NAMES utf8mb4";
    for (by_init, resets) in [(true, 0), (false, 3)] {
        let server = Fake::start();
        let init = if by_init { vec![set] } else { Vec::new() };
        let manager = MySqlManager::new(at(server.address).init(init));
        let on_open = move |conn: &mut Connection, _: &SetUp<'_>| if by_init { Ok(()) } else { conn.query_drop(set) };
        let pool = Pool::builder().max_size(1).on_open(on_open).build(manager).expect("a pool");
        for _ in 0..3 {
            pool.get_timeout(PATIENCE).expect("a connection").query_drop("SELECT 7").expect("an answer");
        }
        // Waits for the last reset.
        drop(pool.get_timeout(PATIENCE).expect("a connection"));
        assert_eq!(server.texts("SET character_set_client"), resets, "by init: {by_init}");
        assert_eq!(server.texts(set), 1 + resets, "at the opening and after each reset");
    }
}

/// The holders ignore the errors, and no reset queries the role.
#[test]
fn with_the_session_policy_never_an_error_that_nobody_reports_is_the_last_of_its_session() {
    let server = Fake::start();
    let builder = Pool::builder().max_size(2).check_after(Duration::MAX).session_policy(SessionPolicy::Never);
    let pool = builder.build(manager(&server).role(Role::Primary)).expect("a pool");
    let mut both = [pool.get().expect("a connection"), pool.get().expect("a connection")];
    server.set_read_only(true);
    for conn in &mut both {
        conn.query_drop("INSERT INTO t VALUES (1)").expect_err("it is read-only");
    }
    drop(both);
    pool.get_timeout(Duration::from_millis(300)).expect_err("none is lent");
    assert_eq!((pool.stats().closed.total(), server.texts("INSERT")), (2, 2), "{:?}", pool.stats());
    server.set_read_only(false);
    pool.get_timeout(PATIENCE).expect("a connection").query_drop("INSERT INTO t VALUES (1)").expect("it takes writes");
}

/// Such a node answers every query without a table.
#[test]
fn a_node_that_is_detached_from_its_cluster_is_refused_and_found_by_checks_in_any_role() {
    let node = Fake::start().in_cluster();
    for role in [Role::Any, Role::Primary] {
        let (manager, limit) = (manager(&node).role(role), Limit::new(PATIENCE));
        let mut conn = manager.open().expect("it is ready");
        let asked = node.texts("");
        manager.is_valid(&mut conn, &limit).expect("it is ready");
        assert_eq!(node.texts(""), asked + 1, "in the same round trip");
        node.set_detached(true);
        let error = manager.is_valid(&mut conn, &limit).expect_err("it is detached");
        assert_eq!(manager.fault(&error), Fault::WrongRole, "{error}");
        let (fault, why) = fault_of(&manager, manager.open());
        assert_eq!(fault, Fault::WrongRole);
        assert!(why.contains("is detached from its cluster (wsrep_ready=OFF)") && !why.contains("required"), "{why}");
        let error = conn.query_drop("INSERT INTO t VALUES (1)").expect_err("it is detached");
        assert_eq!(manager.fault(&error), Fault::WrongRole, "{error}");
        node.set_detached(false);
    }
}

#[test]
fn a_server_that_is_no_node_of_a_cluster_is_not_asked_whether_it_is_ready() {
    let server = Fake::start();
    let (manager, limit) = (manager(&server), Limit::new(PATIENCE));
    let mut conn = manager.open().expect("a connection");
    manager.is_valid(&mut conn, &limit).expect("an answer");
    assert_eq!(server.texts("wsrep_ready"), 0);
}

/// For events that happen at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
