//! The page's appearance, and its treatment of hostile texts.

use crate::support::{assert_shows, open};
use cabrank_testing::eventually;
use monitor_browser::Scene;
use std::thread;
use std::time::Duration;

fn hostile_names_are_shown_as_texts() {
    let name = "<img src=x onerror=\"hacked=1\"><script>hacked=2</script>\u{202e}'&amp;";
    let scene = Scene::new(name, 1);
    let mut browser = open(&scene);
    let held = scene.hold(1);
    thread::scope(|scope| {
        let hostile = "<svg onload=hacked=3>\u{2067}";
        thread::Builder::new().name(hostile.into()).spawn_scoped(scope, || drop(scene.pool.get())).unwrap();
        eventually("it waits", || scene.pool.stats().waiting == 1);
        browser.eventually("the waiter is shown", "document.getElementById('waiters').tBodies[0].rows.length === 1");
        let shown = "<img src=x onerror=\"hacked=1\"><script>hacked=2</script>\\u{202e}'&amp;";
        assert_eq!(browser.text("#name"), shown);
        assert_eq!(browser.text("#pools .text"), shown);
        assert!(browser.text("#waiters .thread.text").ends_with("<svg onload=hacked=3>\\u{2067}"));
        browser.eventually("the events have it", "document.querySelector('#events .pool') !== null");
        assert_eq!(browser.text("#events .pool"), shown);
        let strangers =
            "document.querySelectorAll('img, iframe, object, link:not([rel=icon]), body script ~ script').length";
        assert_eq!(browser.evaluate(strangers), 0);
        assert_eq!(browser.evaluate("typeof hacked"), "undefined");
        drop(held);
    });
    assert_eq!(browser.complaints(), [""; 0]);
}

fn nothing_is_loaded_but_the_page_and_its_looks() {
    let scene = Scene::new("orders", 1);
    let mut browser = open(&scene);
    let loaded = browser
        .evaluate("performance.getEntriesByType('resource').map((it) => new URL(it.name).pathname).sort().join()");
    assert!(loaded == "" || loaded == "/looks", "{loaded}");
    // The content policy holds: an inserted script does not run.
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'hacked = 1' }))",
    );
    assert_eq!(browser.evaluate("typeof hacked"), "undefined");
    let refused = browser.evaluate("fetch('http://localhost:1/').then(() => 'sent', () => 'refused')");
    assert_eq!(refused, "refused");
}

fn a_thousand_connections_stay_usable() {
    let scene = Scene::new("big", 1_000);
    let mut held = scene.hold(1_000);
    held.truncate(950);
    eventually("the others are idle", || scene.pool.stats().idle == 50);
    let mut browser = open(&scene);
    browser.eventually("they are counted", "last.pools[0].counts.lent === 950");
    assert_eq!(browser.evaluate("document.getElementById('connections').tBodies[0].rows.length"), 200);
    assert!(browser.text("#connections-more").starts_with("800 more connections are not shown"));
    // Drawing a look takes far less than a tenth of a second.
    let took = "(() => {
        const begun = performance.now();
        for (let n = 0; n < 10; n += 1) show(last);
        return performance.now() - begun;
    })()";
    let took = browser.evaluate(took).as_f64().unwrap() / 10.0;
    println!("a look at a thousand connections is drawn in {took:.1} ms");
    assert!(took < 100.0, "{took} ms");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn a_page_that_stays_open_grows_nothing() {
    let scene = Scene::new("orders", 2);
    let mut browser = open(&scene);
    let _held = scene.hold(1);
    // Two days of looks, as the page would receive them.
    let grown = browser.evaluate(
        "(() => {
            paused = true;
            const nodes = () => document.getElementsByTagName('*').length;
            show(last);
            const before = nodes();
            const it = ring(last.pools[0].key);
            for (let second = 1000; second < 173800; second += 1) it.add([[second, 1, 0, 5, 0, 0, 0, 0, 0]]);
            for (let n = 0; n < 500; n += 1) show({ ...last, number: n });
            return [nodes() - before, it.points.length, rings.size].join();
        })()",
    );
    assert_eq!(grown, "0,300,1");
}

fn a_page_that_is_opened_has_charts_of_the_time_before() {
    let scene = Scene::new("orders", 2);
    let _held = scene.hold(1);
    // Nobody reads during this wait, which is the subject of the test.
    thread::sleep(Duration::from_secs(4));
    let mut browser = open(&scene);
    let older = browser.evaluate("rings.get(chosen).points.length - performance.now() / 1000").as_f64().unwrap();
    assert!(older > 1.0, "{older} seconds more than the page is open");
    assert_eq!(browser.text("figure[data-tip=chart_lent] b"), "1");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn light_and_dark_are_two_looks_and_both_can_be_read() {
    let scene = Scene::new("orders", 2);
    let mut browser = open(&scene);
    // The contrast of text and background by the WCAG formula; 4.5 is enough for small text.
    let contrast = "(() => {
        const lightness = (colour) => {
            const canvas = document.createElement('canvas').getContext('2d');
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const linear = (it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((it) => linear(it / 255));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = getComputedStyle(document.documentElement);
        const of = (ink, ground) => {
            const [one, other] = [ink, ground].map((name) => lightness(style.getPropertyValue('--' + name)));
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        };
        const inks = ['text', 'faint', 'bad', 'lent', 'idle', 'opening', 'checking', 'resetting', 'closing', 'aborted', 'abandoned'];
        const grounds = ['good-ground', 'busy-ground', 'warn-ground', 'bad-ground', 'over-ground', 'ground'];
        return Math.min(...inks.map((ink) => of(ink, 'card')), ...grounds.map((ground) => of('text', ground)), of('faint', 'ground'));
    })()";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme, "no-preference");
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        let contrast = browser.evaluate(contrast).as_f64().unwrap();
        assert!(contrast >= 4.5, "{scheme}: {contrast}");
    }
    assert_ne!(grounds[0], grounds[1]);
}

fn a_narrow_page_is_as_wide_as_the_window_and_shows_the_same() {
    let scene = Scene::new("a-pool-with-a-name-that-does-not-end-where-others-of-its-kind-would", 2);
    let _held = scene.hold(2);
    let mut browser = open(&scene);
    browser.resize(360, 740);
    assert_shows(&mut browser, &scene.pool);
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 360);
    // No texts overlap.
    let overlaps = browser.evaluate(
        "[...document.querySelectorAll('#connections tbody tr')].flatMap((row) => {
            const boxes = [...row.cells].map((cell) => cell.getBoundingClientRect()).filter((box) => box.width > 0);
            return boxes.filter((one, at) => boxes.some((other, place) => place > at
                && one.left < other.right - 1 && other.left < one.right - 1 && one.top < other.bottom - 1 && other.top < one.bottom - 1));
        }).length",
    );
    assert_eq!(overlaps, 0);
}

fn nothing_moves_for_those_who_do_not_want_it() {
    let scene = Scene::new("orders", 2);
    let mut browser = open(&scene);
    let moves = "getComputedStyle(document.querySelector('#bar span')).transitionDuration";
    assert_ne!(browser.evaluate(moves), "0s");
    browser.prefer("light", "reduce");
    assert_eq!(browser.evaluate(moves), "0s");
}

cabrank_testing::tests! {
    cabrank_testing::harness::alone:
        hostile_names_are_shown_as_texts,
        nothing_is_loaded_but_the_page_and_its_looks,
        a_thousand_connections_stay_usable,
        a_page_that_stays_open_grows_nothing,
        a_page_that_is_opened_has_charts_of_the_time_before,
        light_and_dark_are_two_looks_and_both_can_be_read,
        a_narrow_page_is_as_wide_as_the_window_and_shows_the_same,
        nothing_moves_for_those_who_do_not_want_it,
}
