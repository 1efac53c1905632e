//! Creates the pictures in `docs/monitor`: the page in light, in dark, and on a narrow screen. `cargo xtask browser --screenshots`.

use cabrank::{Fault, Pool};
use cabrank_testing::fake::{Call, Outcome};
use monitor_browser::{Chromium, Scene};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{env, fs, io, thread};

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).unwrap_or_else(|| "docs/monitor".into());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let scene = Scene::built(Pool::builder().name("orders").max_size(8).min_idle(2));
    let mut browser = Chromium::start(1100, 900);
    browser.open(&scene.url());
    thread::scope(|scope| {
        let stop = scene.load(scope, 7, Duration::from_millis(40));
        // The charts need some data.
        thread::sleep(SHOWN);
        save(&mut browser, &folder.join("light.webp"))?;
        let stop_more = scene.load(scope, 14, Duration::from_millis(900));
        let _held = scene.hold(3);
        thread::sleep(SHOWN);
        browser.prefer("dark", "no-preference");
        save(&mut browser, &folder.join("dark.webp"))?;
        scene.server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
        drop(_held);
        scene.pool.evict_all();
        browser.resize(360, 1_500);
        browser.eventually("it is down", "document.getElementById('verdict').dataset.state === 'down'");
        browser.eventually("it has tried", "last.pools[0].outage?.failures > 8");
        save(&mut browser, &folder.join("narrow.webp"))?;
        [stop, stop_more].iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
        scene.pool.close();
        Ok(())
    })
}

fn save(browser: &mut Chromium, file: &Path) -> io::Result<()> {
    let picture = browser.picture();
    println!("{}: {} KB", file.display(), picture.len() / 1_000);
    fs::write(file, picture)
}

const SHOWN: Duration = Duration::from_secs(45);
