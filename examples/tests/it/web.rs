//! The example `web`: real requests by many clients at once, also during its shutdown.

use crate::place::{Engine, Observer, Place, on_each_engine, on_each_server};
use crate::service::{Service, Transfer, ask, begin};
use cabrank_testing::eventually;
use std::net::TcpStream;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

fn under_load_no_money_is_lost_and_the_numbers_add_up(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "4", "--wait", "60"]);
    let (address, answered) = (service.address, AtomicU64::new(0));
    let paid: Vec<Transfer> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let answered = &answered;
                scope.spawn(move || {
                    let mut paid = Vec::new();
                    for transfer in transfers(client).take(25) {
                        match transfer.ask(address).expect("an answer").status {
                            200 => paid.push(transfer),
                            status => assert_eq!(status, 409, "only too little money stops a transfer"),
                        }
                        answered.fetch_add(1, SeqCst);
                    }
                    paid
                })
            })
            .collect();
        eventually("all are answered", || {
            let stats = service.stats();
            assert!(stats.get("open") <= 4 && stats.get("in_use") <= 4, "more than there may be");
            let (borrowed, returned) = (stats.get("borrowed"), stats.get("returned"));
            assert!(borrowed == returned + stats.get("in_use"), "numbers that do not add up");
            answered.load(SeqCst) == 25 * CLIENTS || clients.iter().any(|client| client.is_finished())
        });
        clients.into_iter().flat_map(|client| client.join().expect("clients do not panic")).collect()
    });

    assert_eq!(service.balances(), balances_after(&paid));
    let stats = service.stats();
    // Two more loans created the accounts and read the balances.
    assert_eq!((stats.get("borrowed"), stats.get("returned")), (25 * CLIENTS + 2, 25 * CLIENTS + 2));
    assert_eq!((stats.get("in_use"), stats.get("waiting")), (0, 0));
    assert_eq!((stats.get("timed_out"), stats.get("overloaded")), (0, 0));

    service.terminate();
    assert_clean_end(&mut service, place);
}

fn told_to_end_under_load_it_answers_all_that_it_has_begun(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "4", "--wait", "60", "--deadline", "60"]);
    let address = service.address;
    let (paid_so_far, told) = (AtomicU64::new(0), AtomicBool::new(false));
    let paid: Vec<Transfer> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (paid_so_far, told) = (&paid_so_far, &told);
                scope.spawn(move || {
                    let mut paid = Vec::new();
                    for transfer in transfers(client) {
                        match transfer.ask(address) {
                            Ok(answer) if answer.status == 200 => paid.push(transfer),
                            Ok(answer) => assert_eq!(answer.status, 409, "only too little money stops a transfer"),
                            // Not accepted, or accepted but not read. In both cases nothing was done.
                            Err(error) => {
                                assert!(told.load(SeqCst), "before it was told to end: {error}");
                                break;
                            }
                        }
                        paid_so_far.fetch_add(1, SeqCst);
                    }
                    paid
                })
            })
            .collect();
        eventually("there is load", || {
            paid_so_far.load(SeqCst) >= 200 || clients.iter().any(|client| client.is_finished())
        });
        told.store(true, SeqCst);
        service.terminate();
        clients.into_iter().flat_map(|client| client.join().expect("clients do not panic")).collect()
    });
    assert_clean_end(&mut service, place);
    // Exactly the transfers that were answered have taken effect.
    let balances = place.observer().numbers("SELECT balance FROM cabrank_example_bank ORDER BY id");
    assert_eq!(balances, balances_after(&paid));
}

fn a_request_under_way_when_it_is_told_to_end_is_answered(place: &mut Place) {
    let mut service = Service::start(place, &["--deadline", "60"]);
    let address = service.address;
    let obstacle = Obstacle::new(place);
    let client = thread::spawn(move || SMALL.ask(address).map(|answer| answer.status));
    eventually("the request is under way", || service.stats().get("in_use") == 1);

    service.terminate();
    assert_eq!(service.line(), "SIGTERM: ending within 60s");
    eventually("nothing new is accepted", || TcpStream::connect(address).is_err());
    obstacle.remove();
    assert_eq!(client.join().expect("the client does not panic").expect("an answer"), 200);
    assert_eq!(service.line(), "all requests answered: true; 0 connections and 0 threads left");
    assert!(service.ended().success());
    eventually("no session is left", || place.sessions() == 0);
}

fn overload_is_told_at_once_and_those_in_the_queue_are_served(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "2", "--wait", "60"]);
    let address = service.address;
    let obstacle = Obstacle::new(place);
    let ask = |_| thread::spawn(move || SMALL.ask(address).map(|answer| answer.status));
    let mut clients: Vec<_> = (0..2).map(ask).collect();
    eventually("two are served", || service.stats().get("in_use") == 2);
    clients.extend((0..8).map(ask));
    eventually("eight wait", || service.stats().get("waiting") == 8);

    let answer = SMALL.ask(address).expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    assert!(answer.head.lines().any(|line| line == "retry-after: 1"), "{}", answer.head);
    assert_eq!(service.stats().get("overloaded"), 1);

    obstacle.remove();
    for client in clients {
        assert_eq!(client.join().expect("clients do not panic").expect("an answer"), 200);
    }
    service.terminate();
    assert_clean_end(&mut service, place);
}

fn one_who_waits_in_vain_is_asked_to_come_again(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "1", "--wait", "1"]);
    let address = service.address;
    let obstacle = Obstacle::new(place);
    let client = thread::spawn(move || SMALL.ask(address).map(|answer| answer.status));
    eventually("the connection is lent", || service.stats().get("in_use") == 1);

    let answer = ask(address, "GET /accounts", "").expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    assert!(answer.head.lines().any(|line| line == "retry-after: 1"), "{}", answer.head);
    assert_eq!(service.stats().get("timed_out"), 1);

    obstacle.remove();
    assert_eq!(client.join().expect("the client does not panic").expect("an answer"), 200);
    service.terminate();
    assert_clean_end(&mut service, place);
}

fn a_client_that_hangs_up_gives_up_its_place_in_the_queue(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "1", "--wait", "60"]);
    let address = service.address;
    let obstacle = Obstacle::new(place);
    let client = thread::spawn(move || SMALL.ask(address).map(|answer| answer.status));
    eventually("the connection is lent", || service.stats().get("in_use") == 1);
    let waiting = begin(address, "GET /accounts", "").expect("a connection");
    eventually("one waits", || service.stats().get("waiting") == 1);

    drop(waiting);
    // The connection is still lent, so nothing else can have emptied the queue.
    eventually("nobody waits", || service.stats().get("waiting") == 0);
    assert_eq!((service.stats().get("cancelled"), service.stats().get("in_use")), (1, 1));

    obstacle.remove();
    assert_eq!(client.join().expect("the client does not panic").expect("an answer"), 200);
    service.terminate();
    assert_clean_end(&mut service, place);
}

fn a_client_that_hangs_up_has_its_statement_cancelled(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "1", "--wait", "60"]);
    let obstacle = Obstacle::before_readers(place);
    let client = begin(service.address, "GET /accounts", "").expect("a connection");
    eventually("the statement waits at the server", || place.blocked() == 1);

    drop(client);
    // The obstacle stays: without the cancellation this would not end.
    eventually("the statement is given up", || place.blocked() == 0);
    eventually("its connection is back", || service.stats().get("in_use") == 0);

    drop(obstacle);
    assert_eq!(service.balances(), [1_000; 10]);
    service.terminate();
    assert_clean_end(&mut service, place);
}

fn what_does_not_end_is_aborted_at_the_deadline(place: &mut Place) {
    let mut service = Service::start(place, &["--deadline", "2"]);
    let address = service.address;
    let obstacle = Obstacle::new(place);
    let client = thread::spawn(move || SMALL.ask(address).map(|answer| answer.status));
    eventually("the request is under way", || service.stats().get("in_use") == 1);

    service.terminate();
    // The obstacle stays: without the deadline this would not end.
    assert_eq!(service.ended().code(), Some(1));
    assert_eq!(service.line(), "SIGTERM: ending within 2s");
    assert!(service.line().starts_with("all requests answered: false; "));
    assert!(service.errors().contains("error: the deadline passed before everything had ended"));
    assert!(!matches!(client.join().expect("the client does not panic"), Ok(200)), "nothing was paid");
    drop(obstacle);
    eventually("no session is left", || place.sessions() == 0);
    assert_eq!(place.observer().numbers("SELECT balance FROM cabrank_example_bank"), [1_000; 10]);
}

/// A transaction that has locked all accounts.
pub(crate) struct Obstacle(Observer);

impl Obstacle {
    pub(crate) fn new(place: &Place) -> Self {
        let mut observer = place.observer();
        if place.engine == Engine::Sqlite {
            observer.execute("BEGIN IMMEDIATE");
        } else {
            observer.execute("BEGIN");
            observer.execute("SELECT id FROM cabrank_example_bank FOR UPDATE");
        }
        Self(observer)
    }

    /// One that also blocks readers.
    fn before_readers(place: &Place) -> Self {
        let mut observer = place.observer();
        if place.engine == Engine::Postgres {
            observer.execute("BEGIN");
            observer.execute("LOCK TABLE cabrank_example_bank");
        } else {
            observer.execute("LOCK TABLES cabrank_example_bank WRITE");
        }
        Self(observer)
    }

    pub(crate) fn remove(mut self) {
        self.0.execute("COMMIT");
    }
}

/// Requires that the service ends by itself, has answered all requests and leaves no session.
pub(crate) fn assert_clean_end(service: &mut Service, place: &mut Place) {
    assert!(service.line().starts_with("SIGTERM: ending within "));
    assert_eq!(service.line(), "all requests answered: true; 0 connections and 0 threads left");
    assert!(service.ended().success());
    eventually("no session is left", || place.sessions() == 0);
}

/// An endless series of transfers, with different accounts and amounts for each client.
fn transfers(client: u64) -> impl Iterator<Item = Transfer> {
    (client..).step_by(7).map(move |n| Transfer {
        from: (n % 10 + 1) as usize,
        to: ((n + client % 9 + 1) % 10 + 1) as usize,
        amount: (n % 90) as i64,
    })
}

fn balances_after(paid: &[Transfer]) -> Vec<i64> {
    let mut balances = vec![1_000; 10];
    for Transfer { from, to, amount } in paid {
        balances[from - 1] -= amount;
        balances[to - 1] += amount;
    }
    balances
}

const CLIENTS: u64 = 16;
const SMALL: Transfer = Transfer { from: 1, to: 2, amount: 1 };

cabrank_testing::tests! {
    on_each_engine:
        under_load_no_money_is_lost_and_the_numbers_add_up,
        told_to_end_under_load_it_answers_all_that_it_has_begun,
        a_request_under_way_when_it_is_told_to_end_is_answered,
        overload_is_told_at_once_and_those_in_the_queue_are_served,
        one_who_waits_in_vain_is_asked_to_come_again,
        a_client_that_hangs_up_gives_up_its_place_in_the_queue,
        what_does_not_end_is_aborted_at_the_deadline;
    on_each_server:
        a_client_that_hangs_up_has_its_statement_cancelled,
}
