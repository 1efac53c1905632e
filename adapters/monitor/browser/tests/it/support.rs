//! Shared by the tests: a browser with the page of a scene, and the comparison of page and pool.

use cabrank::{Phase, Pool};
use cabrank_testing::fake::FakeManager;
use cabrank_testing::harness::skip;
use monitor_browser::{Chromium, Scene};
use serde_json::{Value, json};
use std::env;

/// A browser that shows the scene's page. Skips the test without a browser.
pub(crate) fn open(scene: &Scene) -> Chromium {
    let mut browser = start();
    browser.open(&scene.url());
    browser.eventually("the first look is shown", "document.documentElement.dataset.look > 0");
    browser
}

pub(crate) fn start() -> Chromium {
    if env::var("CABRANK_BROWSER").is_err() {
        skip("a browser is driven by `cargo xtask browser`, or with CABRANK_BROWSER=1");
    }
    Chromium::start(1280, 900)
}

/// Waits until the page shows the pool's present numbers. The pool must be quiet.
#[track_caller]
pub(crate) fn assert_shows(browser: &mut Chromium, pool: &Pool<FakeManager>) {
    let stats = pool.stats();
    let numbers =
        json!([stats.in_use, stats.idle, stats.opening, stats.checking, stats.resetting, stats.closing, stats.waiting]);
    let shown = "[...document.querySelectorAll('#counts li')]\
                 .filter((it) => !['aborted', 'abandoned', 'stuck'].includes(it.dataset.tip))\
                 .map((it) => Number(it.querySelector('b').textContent))";
    let is_shown = format!("JSON.stringify({shown}) === {}", json!(numbers.to_string()));
    browser.eventually(&format!("the page shows {numbers}"), &is_shown);

    let connections = pool.connections();
    let told: Vec<Value> = connections
        .iter()
        .map(|it| {
            let id = it.id.map_or("–".to_owned(), |id| id.to_string());
            let site = it.holder.as_ref().map_or(String::new(), |holder| holder.call_site.to_string());
            json!([id, it.phase.as_str(), site])
        })
        .collect();
    assert_rows(browser, "connections", &[0, 1, 5], &told);

    let mut holders = pool.holders();
    holders.sort_by_key(|holder| holder.id);
    let lent = connections.iter().filter(|it| it.phase == Phase::Lent).filter_map(|it| it.holder.as_ref());
    assert!(lent.map(|holder| (holder.id, holder.call_site)).eq(holders.iter().map(|it| (it.id, it.call_site))));

    let waiters = pool.waiters();
    let told = waiters.iter().enumerate().map(|(place, it)| {
        let thread = match (it.thread, &it.thread_name) {
            (None, _) => "task".to_owned(),
            (Some(number), None) => format!("thread {number}"),
            (Some(number), Some(name)) => format!("thread {number}, {name}"),
        };
        json!([(place + 1).to_string(), it.call_site.to_string(), thread])
    });
    assert_rows(browser, "waiters", &[0, 3, 4], &told.collect::<Vec<_>>());
}

#[track_caller]
fn assert_rows(browser: &mut Chromium, table: &str, columns: &[usize], rows: &[Value]) {
    let rows = Value::from(rows.to_vec());
    let shown = format!(
        "JSON.stringify([...document.getElementById('{table}').tBodies[0].rows]\
         .map((row) => {columns:?}.map((at) => row.cells[at].textContent)))"
    );
    browser.eventually(&format!("{table} are {rows}"), &format!("{shown} === {}", json!(rows.to_string())));
}

/// Asserts that the page shows the content of the last look, even while the pool changes.
#[track_caller]
pub(crate) fn assert_shows_its_look(browser: &mut Chromium) {
    let difference = browser.evaluate(&format!(
        "(() => {{
            const [told, shown] = [({TOLD})(last), ({SHOWN})()];
            return JSON.stringify(told) === JSON.stringify(shown) ? '' : JSON.stringify({{ told, shown }});
        }})()"
    ));
    assert_eq!(difference, "");
}

/// The look's data on the shown pool.
pub(crate) const TOLD: &str = "(look) => {
    const pool = look.pools.find((pool) => pool.key === chosen);
    return {
        look: look.number, title: pool.title, says: pool.says,
        counts: ['lent', 'idle', 'opening', 'checking', 'resetting', 'closing', 'waiting'].map((it) => pool.counts[it]),
        size: pool.counts.max_size,
        connections: pool.connections.map((it) => [it.id === null ? '–' : String(it.id), it.phase, it.site ?? '', it.uses]),
        holders: pool.holders.map((it) => [it.count, it.site]),
        waiters: pool.waiters.map((it) => it.site),
        totals: ['at_once', 'after_waiting', 'rejected', 'returned', 'timed_out', 'overloaded', 'opened'].map((it) => pool.totals[it]),
    };
}";

/// The same data, as the page shows it.
pub(crate) const SHOWN: &str = "() => {
    const texts = (selector) => [...document.querySelectorAll(selector)].map((it) => it.textContent);
    const number = (text) => Number(text.replaceAll(',', ''));
    const rows = (id) => [...document.getElementById(id).tBodies[0].rows];
    return {
        look: Number(document.documentElement.dataset.look), title: texts('#title')[0], says: texts('#says li'),
        counts: texts('#counts b').slice(0, 7).map(number),
        size: number(/at most ([0-9,]+)/.exec(texts('#size')[0])[1]),
        connections: rows('connections').map(({ cells }) => [cells[0], cells[1], cells[5], cells[4]].map((it) => it.textContent))
            .map(([id, phase, site, uses]) => [id, phase, site, number(uses)]),
        holders: rows('holders').map(({ cells }) => [number(cells[0].textContent), cells[2].textContent]),
        waiters: rows('waiters').map(({ cells }) => cells[3].textContent),
        totals: ['at_once', 'after_waiting', 'rejected', 'returned', 'timed_out', 'overloaded', 'opened']
            .map((it) => number(texts(`#totals [data-tip=${it}] dd`)[0] ?? '0')),
    };
}";
