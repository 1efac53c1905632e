//! `--watch`: a live page of the pools during the story, and after it a load that runs until Ctrl-C.

use crate::engine::Engine;
use anyhow::Result;
use cabrank::{Builder, Pool};
use cabrank_monitor::{Listening, Monitor, Pools, Recorder};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime;

pub(crate) struct Watch {
    pools: Pools,
    recorder: Arc<Recorder>,
    page: Listening,
}

impl Watch {
    /// Serves the page on a free port of this machine.
    pub(crate) fn open() -> Result<Self> {
        let (pools, recorder) = (Pools::new(), Recorder::new());
        let page = Monitor::new(pools.clone().with_events(&recorder)).listen("127.0.0.1:0")?;
        println!("Live page of the pool: {}\n", page.url());
        Ok(Self { pools, recorder, page })
    }

    /// Has the page list the events of the pool that is built from `builder`.
    pub(crate) fn record<M: Engine>(&self, builder: Builder<M>) -> Builder<M> {
        builder.event_handler(self.recorder.clone())
    }

    /// Has the page show this pool while it exists.
    pub(crate) fn show<M: Engine>(&self, pool: &Pool<M>) {
        self.pools.add(pool);
    }

    /// Checks out connections until Ctrl-C: a few threads all the time, and every few seconds more threads than connections.
    pub(crate) fn load<M: Engine>(self, manager: M) -> Result<()> {
        let builder = self.record(Pool::builder().name("load").max_size(4).acquire_timeout(Duration::from_secs(5)));
        let pool = builder.from_env("DB_POOL_")?.build(manager)?;
        self.show(&pool);
        println!("\nA load is running. Watch it at {}; Ctrl-C ends it.", self.page.url());
        let end = End::default();
        let borrow = |hold, pause| borrow(&pool, &end, Duration::from_millis(hold), pause);
        thread::scope(|scope| {
            for hold in CALM {
                scope.spawn(move || borrow(hold, Duration::ZERO));
            }
            for _ in 0..CROWD {
                scope.spawn(move || borrow(400, EVERY));
            }
            let waited = ctrl_c();
            end.has_come();
            waited
        })?;
        println!("{}", pool.close_within(Duration::from_secs(2)));
        Ok(())
    }
}

fn borrow<M: Engine>(pool: &Pool<M>, end: &End, hold: Duration, pause: Duration) {
    while !end.comes_within(pause + hold / 2) {
        // The page shows failures and their causes.
        let _ = pool.run(|conn| {
            thread::sleep(hold);
            M::describe(conn).map(drop)
        });
    }
}

/// The end of the load.
#[derive(Default)]
struct End {
    came: Mutex<bool>,
    comes: Condvar,
}

impl End {
    fn has_come(&self) {
        *self.came.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.comes.notify_all();
    }

    fn comes_within(&self, span: Duration) -> bool {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        *self.comes.wait_timeout_while(came, span, |came| !*came).unwrap_or_else(PoisonError::into_inner).0
    }
}

fn ctrl_c() -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}

/// How many milliseconds each thread of the steady load holds a connection.
const CALM: [u64; 3] = [20, 50, 80];
const CROWD: usize = 8;
/// The pause between two loans of each thread of the crowd. They all start at the same moment, and so return together.
const EVERY: Duration = Duration::from_secs(6);
