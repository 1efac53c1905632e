//! The page by keyboard, by pointer, and by screen reader.

use crate::support::open;
use monitor_browser::Scene;
use serde_json::Value;

fn each_number_has_a_sentence_on_focus_and_under_the_pointer() {
    let scene = Scene::new("orders", 2);
    let _held = scene.hold(1);
    let mut browser = open(&scene);
    let without = "[...document.querySelectorAll('[data-tip]')].map((it) => it.dataset.tip).filter((tip) => !SENTENCES[tip]).join()";
    assert_eq!(browser.evaluate(without), "", "without a sentence");
    let unreached =
        "[...document.querySelectorAll('b, dd, td, tbody th')].filter((it) => !it.closest('[data-tip]')).length";
    assert_eq!(browser.evaluate(unreached), 0, "numbers without one");

    // The Tab key moves from one element to the next, through the whole page and back to the start.
    let mut seen = Vec::new();
    for _ in 0..200 {
        browser.press("Tab");
        let tip = browser.evaluate("document.activeElement.dataset.tip ?? document.activeElement.id");
        let tip = tip.as_str().unwrap_or_default().to_owned();
        let is_told = browser.evaluate(
            "(({ dataset: { tip } }, shown) => !tip || !shown.hidden && shown.textContent === SENTENCES[tip]
                && document.activeElement.getAttribute('aria-describedby') === 'tip'
            )(document.activeElement, document.getElementById('tip'))",
        );
        assert_eq!(is_told, Value::Bool(true), "{tip}");
        let is_seen = browser.evaluate(
            "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'",
        );
        assert_eq!(is_seen, Value::Bool(true), "the focus is not to be seen at {tip}");
        if !seen.contains(&tip) {
            seen.push(tip);
        }
    }
    for tip in [
        "pause",
        "order",
        "link",
        "max_size",
        "lent",
        "waiting",
        "chart_loans",
        "c_site",
        "s_longest",
        "t_p99",
        "returned",
    ] {
        assert!(seen.iter().any(|seen| seen == tip), "{tip} was not reached: {seen:?}");
    }

    let middle = browser.evaluate(
        "(({ x, y, width, height }) => [x + width / 2, y + height / 2])(
            document.querySelector('#counts [data-tip=idle]').getBoundingClientRect())",
    );
    browser.evaluate("document.activeElement.blur(), scrollTo(0, 0)");
    browser.point(middle[0].as_f64().unwrap(), middle[1].as_f64().unwrap());
    browser.eventually(
        "it is told",
        "!document.getElementById('tip').hidden && document.getElementById('tip').textContent === SENTENCES.idle",
    );
    browser.press("Escape");
    browser.eventually("it is hidden", "document.getElementById('tip').hidden");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn the_page_can_be_paused_and_goes_on() {
    let scene = Scene::new("orders", 2);
    let mut browser = open(&scene);
    browser.evaluate("document.getElementById('pause').focus()");
    browser.press("Enter");
    browser.evaluate("document.getElementById('pause').click()");
    browser.eventually("it is paused", "document.getElementById('pause').getAttribute('aria-pressed') === 'true'");
    let look = browser.evaluate("document.documentElement.dataset.look");
    let _held = scene.hold(1);
    browser.eventually("looks go on", &format!("heardAt > 0 && Number({look}) > 0 && Date.now() - heardAt < 2000"));
    assert_eq!(browser.evaluate("document.documentElement.dataset.look"), look);
    assert!(browser.text("#link").starts_with("paused at look"));
    browser.evaluate("document.getElementById('pause').click()");
    browser.eventually("it goes on", "document.querySelector('#counts [data-tip=lent] b').textContent === '1'");
}

fn the_page_has_a_structure_and_says_only_changes_of_state_aloud() {
    let scene = Scene::new("orders", 1);
    let mut browser = open(&scene);
    let unnamed = "[...document.querySelectorAll('section, nav, table, [role=img], select, button, [role=region]')]
        .filter((it) => !(it.ariaLabel || it.getAttribute('aria-labelledby') || it.caption || it.labels?.length || it.textContent.trim()))
        .length";
    assert_eq!(browser.evaluate(unnamed), 0);
    assert_eq!(browser.evaluate("document.documentElement.lang"), "en");
    assert_eq!(browser.evaluate("document.querySelectorAll('h1').length"), 1);
    assert_eq!(browser.evaluate("document.querySelectorAll('main').length"), 1);
    // Live regions contain nothing that changes with each look.
    let live = "[...document.querySelectorAll('[aria-live], [role=alert], [role=status]')].map((it) => it.id).join()";
    assert_eq!(browser.evaluate(live), "lost,announce");
    assert!(browser.text("#announce").starts_with("orders: Up"));
}

cabrank_testing::tests! {
    cabrank_testing::harness::alone:
        each_number_has_a_sentence_on_focus_and_under_the_pointer,
        the_page_can_be_paused_and_goes_on,
        the_page_has_a_structure_and_says_only_changes_of_state_aloud,
}
