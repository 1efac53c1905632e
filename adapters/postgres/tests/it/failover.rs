//! Several hosts in several roles: which one serves, and what the others cost. The servers are fakes that change their roles at once.

use crate::fake::{Acts, Fake, hosts, settings};
use crate::fixture::{PATIENCE, builder};
use cabrank_postgres::cabrank::{BuildError, CloseReason, GetError, SessionPolicy};
use cabrank_postgres::postgres::config::TargetSessionAttrs;
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::postgres::{Error, NoTls};
use cabrank_postgres::{Pool, PostgresManager, Role};
use cabrank_testing::harness::alone;
#[cfg(unix)]
use cabrank_testing::proxy::UnixDoor;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn the_host_in_the_right_role_serves_and_is_tried_first_from_then_on() {
    let (standby, primary) = (Fake::start(Acts::Standby), Fake::start(Acts::Primary));
    let by_address = hosts([standby.address(), primary.address()]);
    let mut by_name = settings();
    by_name.host("localhost").port(standby.address().port()).host("localhost").port(primary.address().port());
    for config in [by_address, by_name] {
        for (role, standbys, primaries) in [(Role::Primary, 1, 4), (Role::Standby, 4, 0)] {
            let before = (standby.log_ins(), primary.log_ins());
            let pool = pool(PostgresManager::new(config.clone(), NoTls).role(role));
            for _ in 0..3 {
                drop(pool.get().expect("a connection"));
                pool.evict_all();
            }
            drop(pool.get().expect("a connection"));
            let counts = (standby.log_ins() - before.0, primary.log_ins() - before.1);
            assert_eq!(counts, (standbys, primaries), "{role:?}, {:?}", config.get_hosts());
        }
    }
}

/// Whether the hosts are given by name or by address.
fn hosts_are_left_for_their_role_also_where_their_addresses_are_given() {
    let (standby, primary) = (Fake::start(Acts::Standby), Fake::start(Acts::Primary));
    let (first, second) = (standby.address(), primary.address());
    let mut by_address = settings();
    by_address.hostaddr(first.ip()).port(first.port()).hostaddr(second.ip()).port(second.port());
    let mut by_both = by_address.clone();
    by_both.host("a.example").host("b.example");
    for config in [by_address, by_both] {
        for attrs in [TargetSessionAttrs::Any, TargetSessionAttrs::ReadWrite] {
            let mut config = config.clone();
            config.target_session_attrs(attrs);
            let role = if attrs == TargetSessionAttrs::Any { Role::Primary } else { Role::Any };
            let before = standby.log_ins();
            serves_at_once(&pool(PostgresManager::new(config, NoTls).role(role)));
            assert_eq!(standby.log_ins() - before, 1, "{attrs:?}: it comes first");
        }
    }
}

fn a_frozen_host_whose_address_is_given_costs_its_patience() {
    let (frozen, primary) = (frozen(), Fake::start(Acts::Primary));
    let (first, second) = (address(&frozen), primary.address());
    let mut config = settings();
    config.hostaddr(first.ip()).port(first.port()).hostaddr(second.ip()).port(second.port());
    serves_at_once(&pool(PostgresManager::new(config, NoTls)));
}

#[cfg(unix)]
fn a_socket_beside_hosts_is_tried_like_one_of_them() {
    let (standby, primary) = (Fake::start(Acts::Standby), Fake::start(Acts::Primary));
    let folder = std::env::temp_dir().join(format!("cabrank-{}-failover", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (by_socket, by_host) in [(&standby, &primary), (&primary, &standby)] {
        let door = UnixDoor::open(folder.join(".s.PGSQL.7"), by_socket.address()).expect("a socket");
        let host = by_host.address();
        for socket_first in [true, false] {
            let mut config = settings();
            if socket_first {
                config.host_path(&folder).port(7).host(&host.ip().to_string()).port(host.port());
            } else {
                config.host(&host.ip().to_string()).port(host.port()).host_path(&folder).port(7);
            }
            serves_at_once(&pool(PostgresManager::new(config, NoTls).role(Role::Primary)));
        }
        drop(door);
    }
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

/// Neither the server nor its machine answers.
fn a_host_that_drops_packets_costs_its_patience() {
    let (deaf, primary) = (Deaf::start(), Fake::start(Acts::Primary));
    serves_at_once(&pool(PostgresManager::new(hosts([deaf.address, primary.address()]), NoTls)));
}

/// A dead host, a standby and one that refuses permanently, in any order.
fn a_refusal_for_good_is_told_at_once_only_if_no_other_host_may_come_back() {
    let dead = dead();
    let (standby, refusing) = (Fake::start(Acts::Standby), Fake::start(Acts::Refusing("28000")));
    let all = [dead, standby.address(), refusing.address()];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let config = hosts(order.map(|number| all[number]));
        let pool = pool(PostgresManager::new(config, NoTls).role(Role::Primary));
        let error = pool.get_timeout(Duration::from_millis(500)).expect_err("there is no primary");
        let GetError::Timeout(report) = &error else { panic!("{order:?}: {error:?}") };
        let (told, _) = report.last_connect_error.as_ref().expect("it was tried");
        let told = format!("{told:?}");
        assert!(told.contains("is in recovery, but a primary is required"), "{order:?}: {told}");
        let refusal = format!("{} refuses permanently: FATAL: no", refusing.address());
        assert!(told.contains(&refusal) && told.contains(&format!("{dead}: ")), "{order:?}: {told}");
    }
    let (one, other) = (Fake::start(Acts::Refusing("28000")), Fake::start(Acts::Refusing("28P01")));
    let built = builder().build(PostgresManager::new(hosts([one.address(), other.address()]), NoTls));
    assert!(matches!(built, Err(BuildError::Connect(_))), "{built:?}");
    assert_eq!((one.log_ins(), other.log_ins()), (1, 1));
}

/// The driver's own wording.
fn a_role_that_is_left_to_the_driver_is_told_before_trouble_of_the_network() {
    let (dead, primary) = (dead(), Fake::start(Acts::Primary));
    for order in [[dead, primary.address()], [primary.address(), dead]] {
        let mut config = hosts(order);
        config.target_session_attrs(TargetSessionAttrs::ReadOnly);
        let error = PostgresManager::new(config, NoTls).open().expect_err("it takes writes");
        let told = source(&error);
        assert!(told.starts_with(&format!("{}: database is not read only; {dead}: ", primary.address())), "{told}");
    }
}

/// For two closed hosts, and for a closed one beside a silent one; from a pool, and without a pool.
fn an_error_names_each_host_with_its_own_cause_and_no_password() {
    let (closed, frozen) = (dead(), frozen());
    for (second, cause) in [(dead(), "Connection refused"), (address(&frozen), "no answer in time")] {
        let mut config = hosts([closed, second]);
        config.password("secret");
        let manager = PostgresManager::new(config, NoTls);
        let pool = builder().max_size(1).build_lazy(manager.clone()).expect("a pool");
        let error = pool.get_timeout(Duration::from_secs(2)).expect_err("nobody serves");
        for told in [format!("{error:?}"), source(&manager.open().expect_err("nobody serves"))] {
            assert!(told.contains(&format!("{closed}: Connection refused")), "{told}");
            assert!(told.contains(&format!("{second}: {cause}")) && !told.contains("secret"), "{told}");
        }
    }
}

fn without_a_limit_a_frozen_host_is_left_too() {
    let (frozen, primary) = (frozen(), Fake::start(Acts::Primary));
    let manager = PostgresManager::new(hosts([address(&frozen), primary.address()]), NoTls);
    let (opened, is_open) = mpsc::channel();
    // In a separate thread, which is abandoned if it hangs.
    thread::spawn(move || opened.send(manager.open().map(drop).map_err(|error| source(&error))));
    assert_eq!(is_open.recv_timeout(PATIENCE), Ok(Ok(())));
}

fn clones_with_other_roles_remember_hosts_of_their_own() {
    let (standby, primary) = (Fake::start(Acts::Standby), Fake::start(Acts::Primary));
    let manager = PostgresManager::new(hosts([standby.address(), primary.address()]), NoTls);
    let writers = pool(manager.clone().role(Role::Primary));
    let readers = pool(manager.role(Role::Standby));
    for _ in 0..5 {
        for pool in [&writers, &readers] {
            drop(pool.get().expect("a connection"));
            pool.evict_all();
        }
    }
    // The writers try the standby once; the readers never try the primary.
    assert_eq!((standby.log_ins(), primary.log_ins()), (5 + 1, 5));
}

fn a_standby_that_is_promoted_under_idle_sessions_is_left_for_another() {
    let (first, second) = (Fake::start(Acts::Standby), Fake::start(Acts::Standby));
    let manager = PostgresManager::new(hosts([first.address(), second.address()]), NoTls).role(Role::Standby);
    let settings = builder().max_size(4).check_after(Duration::ZERO).session_policy(SessionPolicy::Never);
    let pool = settings.build_lazy(manager).expect("a pool");
    drop([(); 4].map(|()| pool.get().expect("a connection")));
    assert_eq!((first.log_ins(), second.log_ins()), (4, 0));
    first.set(Acts::Primary);
    drop([(); 4].map(|()| pool.get().expect("a connection")));
    assert_eq!(pool.stats().closed.by(CloseReason::WrongRole), 4);
    assert_eq!(second.log_ins(), 4);
    second.set(Acts::Primary);
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(1)).expect_err("there is no standby"));
    assert!(told.contains("is not in recovery, but a standby is required"), "{told}");
}

fn a_primary_that_is_demoted_under_idle_sessions_is_left_for_another() {
    let (first, second) = (Fake::start(Acts::Primary), Fake::start(Acts::Standby));
    let pool = pool(PostgresManager::new(hosts([first.address(), second.address()]), NoTls).role(Role::Primary));
    drop(pool.get().expect("a connection"));
    let mut conn = pool.get().expect("a connection");
    first.set(Acts::Standby);
    second.set(Acts::Primary);
    let error = conn.batch_execute("INSERT INTO it").expect_err("it is read-only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(conn);
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("INSERT INTO it").expect("it takes writes");
    assert_eq!(pool.stats().closed.by(CloseReason::WrongRole), 1);
}

/// Like a pooler that lends whole sessions and greets its clients with the state at its own log-in.
fn a_role_that_is_shown_and_is_not_so_costs_a_question_and_no_connection() {
    for (role, acts, shows) in
        [(Role::Primary, Acts::Primary, Acts::Standby), (Role::Standby, Acts::Standby, Acts::Primary)]
    {
        let pooler = Fake::start(acts);
        pooler.show(shows);
        let manager = PostgresManager::new(hosts([pooler.address()]), NoTls).role(role);
        let pool = builder().max_size(1).check_after(Duration::ZERO).build_lazy(manager).expect("a pool");
        drop(pool.get().expect("a connection"));
        assert_eq!(pooler.questions(), 1, "{role:?}: at opening");
        drop(pool.get().expect("a connection"));
        assert_eq!(pooler.questions(), 2, "{role:?}: in a check");
        assert_eq!((pool.stats().opened, pool.stats().closed.total()), (1, 0), "{role:?}");
    }
    let primary = Fake::start(Acts::Primary);
    let pool = pool(PostgresManager::new(hosts([primary.address()]), NoTls).role(Role::Primary));
    drop(pool.get().expect("a connection"));
    assert_eq!(primary.questions(), 0, "what is shown and right is believed");
}

/// The first attempt to open a connection succeeds.
fn serves_at_once(pool: &Pool) {
    drop(pool.get().expect("a connection"));
    assert_eq!((pool.stats().opened, pool.stats().open_failures), (1, 0));
}

fn pool(manager: PostgresManager) -> Pool {
    builder().max_size(1).build_lazy(manager).expect("a pool")
}

/// Its machine accepts connections, but the server is silent.
fn frozen() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).expect("a free port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// An address without a listener.
fn dead() -> SocketAddr {
    address(&frozen())
}

fn source(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A host whose machine drops packets, as it does when its accept queue is full.
struct Deaf {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    fn start() -> Self {
        let listener = frozen();
        let (address, mut waiting) = (address(&listener), Vec::new());
        while let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(client);
            assert!(waiting.len() < 10_000, "all are let in");
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

cabrank_testing::tests! {
    alone:
        the_host_in_the_right_role_serves_and_is_tried_first_from_then_on,
        hosts_are_left_for_their_role_also_where_their_addresses_are_given,
        a_frozen_host_whose_address_is_given_costs_its_patience,
        #[cfg(unix)]
        a_socket_beside_hosts_is_tried_like_one_of_them,
        a_host_that_drops_packets_costs_its_patience,
        a_refusal_for_good_is_told_at_once_only_if_no_other_host_may_come_back,
        a_role_that_is_left_to_the_driver_is_told_before_trouble_of_the_network,
        an_error_names_each_host_with_its_own_cause_and_no_password,
        without_a_limit_a_frozen_host_is_left_too,
        clones_with_other_roles_remember_hosts_of_their_own,
        a_standby_that_is_promoted_under_idle_sessions_is_left_for_another,
        a_primary_that_is_demoted_under_idle_sessions_is_left_for_another,
        a_role_that_is_shown_and_is_not_so_costs_a_question_and_no_connection;
}
