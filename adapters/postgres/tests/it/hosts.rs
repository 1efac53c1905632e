//! Several hosts: which one is tried first, and the cost of one that does not serve.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::postgres::config::SslMode;
use cabrank_postgres::postgres::{Config, NoTls};
use cabrank_postgres::{Pool, PostgresManager};
use cabrank_testing::{NetworkFault, Proxy, timed};
use std::time::Duration;

fn a_host_that_accepts_and_is_silent_costs_its_patience_once(server: Server) {
    let (silent, well) = (server.proxy(), server.proxy());
    silent.set(NetworkFault::Silence);
    for mode in [SslMode::Disable, SslMode::Prefer] {
        let before = attempts(&silent);
        let pool = pool(&server, [&silent, &well], mode);
        let (conn, took) = timed(|| pool.get());
        // As its share of the whole limit, this host would take five seconds.
        assert!(Duration::from_millis(250) <= took && took < Duration::from_secs(2), "{mode:?}: {took:?}");
        let (other, took) = timed(|| pool.get());
        assert!(took < Duration::from_millis(250), "{mode:?}: {took:?}");
        drop((conn.expect("a connection"), other.expect("a connection")));
        assert_eq!(attempts(&silent) - before, 1, "{mode:?}: it comes last from then on");
    }
}

fn the_host_that_served_last_is_tried_first_also_when_the_other_is_back(server: Server) {
    let (one, other) = (server.proxy(), server.proxy());
    let pool = pool(&server, [&one, &other], SslMode::Disable);
    drop(pool.get().expect("a connection"));
    assert_eq!((attempts(&one), attempts(&other)), (1, 0), "in the order in which they are given");
    one.set(NetworkFault::Refuse);
    pool.evict_all();
    drop(pool.get().expect("a connection"));
    one.set(NetworkFault::None);
    for _ in 0..3 {
        pool.evict_all();
        drop(pool.get().expect("a connection"));
    }
    // An attempt that the system refuses cannot be counted, and one that meets a refusal ends the listener.
    assert!(attempts(&one) <= 2, "{}", attempts(&one));
    assert_eq!(attempts(&other), 4);
}

fn where_all_hosts_are_slow_each_has_more_time_in_the_next_round(server: Server) {
    let (one, other) = (server.proxy(), server.proxy());
    // The server's first byte arrives after two of these delays.
    for proxy in [&one, &other] {
        proxy.set(NetworkFault::Delay(Duration::from_millis(200)));
    }
    let pool = pool(&server, [&one, &other], SslMode::Disable);
    pool.get().expect("a connection").query_one("SELECT 1", &[]).expect("a row");
    assert!(attempts(&one) + attempts(&other) >= 3, "each was tried, and one again");
}

/// It must not starve beside one that answers at once.
fn a_host_that_is_far_away_is_heard_beside_a_near_one_that_refuses(server: Server) {
    let (near, far) = (server.proxy(), server.proxy());
    near.set(NetworkFault::Refuse);
    // The first byte arrives after two of these delays, which is longer than the initial patience.
    far.set(NetworkFault::Delay(Duration::from_millis(200)));
    let pool = pool(&server, [&near, &far], SslMode::Disable);
    pool.get().expect("a connection").query_one("SELECT 1", &[]).expect("a row");
    assert!(attempts(&far) > 4, "{}", attempts(&far));
}

/// With the hosts in this order.
fn pool(server: &Server, proxies: [&Proxy; 2], mode: SslMode) -> Pool {
    let mut config = Config::new();
    config.user(server.config.get_user().expect("a user")).ssl_mode(mode);
    server.config.get_password().map(|password| config.password(password));
    server.config.get_dbname().map(|name| config.dbname(name));
    for address in proxies.map(Proxy::address) {
        config.host(&address.ip().to_string()).port(address.port());
    }
    builder().max_size(2).build_lazy(PostgresManager::new(config, NoTls)).expect("a pool")
}

fn attempts(proxy: &Proxy) -> usize {
    proxy.counts().attempts.len()
}

cabrank_testing::tests! {
    on_server:
        a_host_that_accepts_and_is_silent_costs_its_patience_once,
        the_host_that_served_last_is_tried_first_also_when_the_other_is_back,
        where_all_hosts_are_slow_each_has_more_time_in_the_next_round,
        a_host_that_is_far_away_is_heard_beside_a_near_one_that_refuses;
}
