//! A pool under load, exhausted, without its server, stuck and closed: the diagnosis that the page alone allows.

use crate::support::{assert_shows, assert_shows_its_look, open};
use cabrank::{Fault, Pool};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, Outcome};
use monitor_browser::Scene;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

fn under_load_the_page_shows_what_each_look_says_and_in_the_end_what_the_pool_says() {
    let scene = Scene::new("orders", 4);
    let mut browser = open(&scene);
    thread::scope(|scope| {
        let stop = scene.load(scope, 8, Duration::from_millis(1));
        eventually("there is load", || scene.pool.stats().returned > 100);
        let before = scene.pool.stats().returned;
        browser.eventually("the page shows it", &format!("last.pools[0].totals.returned > {before}"));
        for _ in 0..20 {
            assert_shows_its_look(&mut browser);
        }
        // A chart has one point for each second.
        browser.eventually(
            "the charts have begun",
            "document.querySelector('figure path.edge').getAttribute('d').length > 8",
        );
        stop.store(true, Ordering::Relaxed);
    });
    assert_shows(&mut browser, &scene.pool);
    let returned = scene.pool.stats().returned;
    browser.eventually(
        "all returns are counted",
        &format!("Number(document.querySelector('#totals [data-tip=returned] dd').textContent.replaceAll(',', '')) === {returned}"),
    );
    assert!(browser.text("#title").starts_with("Up: 0 of 4 lent"), "{}", browser.text("#title"));
    assert_eq!(browser.complaints(), [""; 0]);
}

fn of_an_exhausted_pool_the_page_says_who_holds_it_and_who_waits() {
    let scene = Scene::new("orders", 3);
    let mut browser = open(&scene);
    let held = scene.hold(3);
    thread::scope(|scope| {
        for number in 0..3 {
            let wait = || drop(scene.pool.get());
            thread::Builder::new().name(format!("request-{number}")).spawn_scoped(scope, wait).unwrap();
            eventually("it waits", || scene.pool.stats().waiting == number + 1);
        }
        assert_shows(&mut browser, &scene.pool);
        assert_eq!(browser.text("#title"), "Exhausted: all 3 connections are lent and 3 requests wait");
        let says = browser.text("#says");
        assert!(says.contains("Held: 3 of 3 loans from ") && says.contains("scene.rs"), "{says}");
        assert!(says.contains("The first in the queue has waited for "), "{says}");
        assert_eq!(browser.evaluate("document.getElementById('verdict').dataset.state"), "exhausted");
        drop(held);
    });
    browser.eventually("it is over", "document.getElementById('verdict').dataset.state === 'up'");
    assert_shows(&mut browser, &scene.pool);
    assert_eq!(browser.complaints(), [""; 0]);
}

fn of_an_outage_the_page_says_since_when_why_and_when_the_next_attempt_is_due() {
    let scene = Scene::new("orders", 2);
    drop(scene.hold(2));
    let mut browser = open(&scene);
    assert_shows(&mut browser, &scene.pool);
    scene.server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    scene.server.kill_sessions();
    scene.pool.evict_all();
    thread::scope(|scope| {
        scope.spawn(|| scene.pool.get().map(drop));
        browser.eventually("it is down", "document.getElementById('verdict').dataset.state === 'down'");
        browser.eventually("some attempts failed", "last.pools[0].outage?.failures > 2");
        let title = browser.text("#title");
        assert!(
            title.starts_with("Down for ") && title.contains("the server cannot be reached; 1 request waits"),
            "{title}"
        );
        let says = browser.text("#says");
        assert!(says.contains("attempts to connect failed in "), "{says}");
        assert!(says.contains("Connect failed: Unavailable"), "{says}");
        let outage = scene.pool.outage().expect("it is not over");
        assert!(outage.failures > 2, "{outage}");
        browser.eventually(
            "an event says so",
            "[...document.querySelectorAll('#events .kind')].some((it) => it.textContent.startsWith('open failed'))",
        );
        scene.server.heal();
    });
    browser.eventually("it is over", "document.getElementById('verdict').dataset.state === 'up'");
    assert_shows(&mut browser, &scene.pool);
    assert_eq!(browser.complaints(), [""; 0]);
}

fn of_a_stuck_pool_the_page_says_that_none_comes_back() {
    let scene = Scene::built(Pool::builder().name("orders").max_size(2).reset_timeout(Duration::from_millis(20)));
    scene.server.without_abort_handles();
    let mut browser = open(&scene);
    scene.server.order(Call::Reset, Outcome::Stuck);
    scene.hold(2).iter_mut().for_each(|held| held.litter());
    eventually("both hang", || scene.pool.stats().stuck == 2);
    browser.eventually("it is stuck", "document.getElementById('verdict').dataset.state === 'stuck'");
    assert!(browser.text("#title").starts_with("Stuck: all 2 slots are taken and none becomes free"));
    assert!(browser.text("#says").contains("2 have exceeded their limit and cannot be aborted"));
    let marked = "[...document.querySelectorAll('#connections .phase')].filter((it) => it.textContent === 'resetting, stuck').length";
    browser.eventually("each is marked", &format!("{marked} === 2"));
    scene.server.heal();
    eventually("they came back", || scene.pool.stats().stuck == 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

fn of_a_pool_that_ends_the_page_says_which_loans_are_still_out() {
    let scene = Scene::new("orders", 3);
    let mut browser = open(&scene);
    let mut held = scene.hold(3);
    drop(held.pop());
    scene.pool.close();
    browser.eventually("two are out", "document.getElementById('title').textContent === 'Closed: 2 loans still out'");
    eventually("the idle one is gone", || scene.pool.connections().len() == 2);
    assert_shows(&mut browser, &scene.pool);
    assert!(browser.text("#says").contains("Held: 2 of 2 loans from "), "{}", browser.text("#says"));
    drop(held);
    browser.eventually(
        "nothing is left",
        "document.getElementById('title').textContent === 'Closed: no connection is left'",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

fn a_page_whose_service_goes_says_so_and_comes_back_with_it() {
    let mut scene = Scene::new("orders", 2);
    let _held = scene.hold(1);
    let mut browser = open(&scene);
    let page = scene.page.take().unwrap();
    let at = page.address();
    page.stop();
    browser.eventually("the connection is lost", "!document.getElementById('lost').hidden");
    assert!(browser.text("#lost").starts_with("Connection lost: last update at "));
    assert_eq!(browser.text("#link"), "connection lost");
    scene.page = Some(scene.monitor.listen(at).unwrap());
    browser.eventually(
        "it is back",
        "document.getElementById('lost').hidden && document.getElementById('link').dataset.link === 'live'",
    );
    assert_shows(&mut browser, &scene.pool);
}

fn a_page_that_was_paused_meanwhile_is_paused_again() {
    let mut scene = Scene::new("orders", 2);
    let mut browser = open(&scene);
    browser.evaluate("document.getElementById('pause').click()");
    let page = scene.page.take().unwrap();
    let at = page.address();
    page.stop();
    browser.eventually("the connection is lost", "!document.getElementById('lost').hidden");
    scene.page = Some(scene.monitor.listen(at).unwrap());
    browser.eventually(
        "it is back",
        "document.getElementById('lost').hidden && document.getElementById('link').dataset.link === 'paused'",
    );
    assert!(browser.text("#link").starts_with("paused at look"));
}

cabrank_testing::tests! {
    cabrank_testing::harness::alone:
        under_load_the_page_shows_what_each_look_says_and_in_the_end_what_the_pool_says,
        of_an_exhausted_pool_the_page_says_who_holds_it_and_who_waits,
        of_an_outage_the_page_says_since_when_why_and_when_the_next_attempt_is_due,
        of_a_stuck_pool_the_page_says_that_none_comes_back,
        of_a_pool_that_ends_the_page_says_which_loans_are_still_out,
        a_page_whose_service_goes_says_so_and_comes_back_with_it,
        a_page_that_was_paused_meanwhile_is_paused_again,
}
