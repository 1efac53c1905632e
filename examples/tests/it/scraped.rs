//! Prometheus in a container scrapes the example `web`, under load and in an outage.

use crate::place::{Place, on_postgres};
use crate::probes::proxy_before;
use crate::service::{Service, Transfer, ask};
use crate::web::Obstacle;
use cabrank_testing::{NetworkFault, eventually};
use integration_tests::Prometheus;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

fn prometheus_sees_what_the_service_says_of_itself(place: &mut Place) {
    let prometheus = Prometheus::start().expect("a container");
    let host = prometheus.host().expect("an address that the container reaches");
    let (proxy, url) = proxy_before(place);
    let service = Service::launch_at(&SocketAddr::new(host, 0).to_string(), &url, &["--max-size", "2", "--wait", "1"]);
    eventually("it has started", || ask(service.address, "GET /started", "").is_ok_and(|answer| answer.status == 200));
    eventually("Prometheus answers", || prometheus.query("vector(1)").is_ok());
    prometheus.scrape(service.address).expect("a target");
    let sees = |query: &str, holds: &dyn Fn(f64) -> bool| {
        eventually(query, || prometheus.query(query).is_ok_and(|found| found.iter().any(|(_, value)| holds(*value))));
    };
    sees(r#"db_client_connection_max{db_client_connection_pool_name="web"}"#, &|max| max == 2.0);

    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = CLIENTS.map(|from| {
            let (ended, address) = (&ended, service.address);
            scope.spawn(move || {
                let transfer = Transfer { from, to: from + 1, amount: 1 };
                while !ended.load(Relaxed) {
                    // Some transfers fail in the outage. The loop tries again.
                    let _ = transfer.ask(address);
                }
            })
        });
        sees(r#"rate(cabrank_loans_total{waited="true"}[3s])"#, &|rate| rate > 5.0);
        let obstacle = Obstacle::new(place);
        sees(r#"db_client_connection_count{db_client_connection_state="used"}"#, &|used| used == 2.0);
        sees("db_client_connection_pending_requests", &|waiting| waiting >= 1.0);
        sees(r#"cabrank_health{state="busy"}"#, &|is| is == 1.0);
        sees("increase(db_client_connection_timeouts_total[1m])", &|more| more > 0.0);
        obstacle.remove();

        proxy.set(NetworkFault::Refuse);
        proxy.close_all();
        sees(r#"cabrank_health{state="down"}"#, &|is| is == 1.0);
        let alerts = prometheus.alerts().expect("its alerts");
        for name in ["CabrankDown", "CabrankTimeouts", "CabrankOpeningsFail"] {
            let (_, query) = alerts.iter().find(|(alert, _)| alert == name).expect(name);
            sees(query, &|_| true);
        }
        proxy.set(NetworkFault::None);
        sees(r#"cabrank_health{state="down"}"#, &|is| is == 0.0);
        ended.store(true, Relaxed);
        drop(clients);
    });
    eventually("all are at rest", || service.stats().get("in_use") == 0);
    let (returned, timed_out) = (service.stats().get("returned"), service.stats().get("timed_out"));
    sees("db_client_connection_use_time_seconds_count", &|count| count == returned as f64);
    sees("db_client_connection_timeouts_total", &|count| count == timed_out as f64);
}

/// The accounts that the clients pay from, one for each client.
const CLIENTS: [usize; 5] = [1, 3, 5, 7, 9];

cabrank_testing::tests! {
    on_postgres:
        prometheus_sees_what_the_service_says_of_itself,
}
