//! Borrowers that are tasks: async pools with their own async drivers under a load, in a runtime with two workers. Also those pools
//! called by threads, which measures the pool alone.

use crate::load::{Clock, End, Failure, Load, Loan, Next, Outcome, Query, Work};
use crate::pools::Peer;
use crate::threads::Blocking;
use anyhow::Result;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::thread::Thread;
use std::time::Instant;
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// A pool that suspends the calling task.
pub trait Asynchronous: Send + Sync + 'static {
    type Loan: Send;

    fn get(&self) -> impl Future<Output = Result<Self::Loan, Failure>> + Send;

    fn query(&self, loan: &mut Self::Loan, query: Query) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The runtime of all async pools.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads"))
}

/// A peer whose borrowers are tasks.
pub struct InTasks<P> {
    pub name: &'static str,
    pub pool: Arc<P>,
}

impl<P: Asynchronous> Peer for InTasks<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, load: &Load) -> Result<Outcome> {
        let clock = Arc::new(Clock::new(load.pace));
        let failure = Arc::new(Mutex::new(None));
        let began = Instant::now();
        let borrowers: Vec<_> = (0..load.borrowers)
            .map(|_| runtime().spawn(borrow(self.pool.clone(), load.work, clock.clone(), began, failure.clone())))
            .collect();
        let loans = runtime().block_on(async {
            let mut all = Vec::new();
            for borrower in borrowers {
                all.push(borrower.await?);
            }
            anyhow::Ok(all)
        })?;
        let failure = failure.lock().unwrap().take();
        Ok(Outcome { began, elapsed: began.elapsed(), loans, failure })
    }
}

/// The life of one borrower.
async fn borrow<P: Asynchronous>(
    pool: Arc<P>,
    work: Work,
    clock: Arc<Clock>,
    began: Instant,
    failure: Arc<Mutex<Option<String>>>,
) -> Vec<Loan> {
    let mut loans = Vec::with_capacity(1 << 14);
    loop {
        let asked = began.elapsed();
        let Next::Now = clock.next(loans.len() as u64, asked) else { return loans };
        let got = pool.get().await;
        let waited = (began.elapsed() - asked).as_nanos() as u64;
        let (end, error) = match got {
            Ok(mut loan) => match work_on(&*pool, &mut loan, work).await {
                Ok(()) => (End::Good, None),
                Err(error) => (End::FailedQuery, Some(error)),
            },
            Err(error) => (End::FailedGet, Some(error)),
        };
        if let Some(error) = error {
            failure.lock().unwrap().get_or_insert_with(|| error.to_string());
            // Otherwise a pool that fails at once would keep the other tasks from being polled.
            tokio::task::yield_now().await;
        }
        let ended = began.elapsed().as_nanos() as u64;
        loans.push(Loan { asked: asked.as_nanos() as u64, waited, ended, end });
        if let (End::FailedGet, Some(pause)) = (end, clock.pause()) {
            tokio::time::sleep(pause).await;
        }
    }
}

/// As in a runtime: a task without work yields, and one that sleeps uses the runtime's timer, whose tick is a millisecond.
async fn work_on<P: Asynchronous>(pool: &P, loan: &mut P::Loan, work: Work) -> Result<(), Failure> {
    match work {
        Work::Query(query) => pool.query(loan, query).await?,
        Work::Nothing => tokio::task::yield_now().await,
        Work::Sleep(time) => tokio::time::sleep(time).await,
        Work::Spin(_) => return Err("a task must not block its thread".into()),
    }
    Ok(())
}

/// An async pool whose borrowers are threads that block on its futures.
pub struct Waited<P>(pub P);

impl<P: Asynchronous> Blocking for Waited<P> {
    type Loan = P::Loan;

    fn get(&self) -> Result<Self::Loan, Failure> {
        wait(self.0.get())
    }

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        wait(self.0.query(loan, query))
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        Some(runtime().enter())
    }
}

/// The cheapest way known: one waker for each thread, and only a park between two polls.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    let mut future = pin!(future);
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    })
}
