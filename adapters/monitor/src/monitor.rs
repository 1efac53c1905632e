//! The monitor: mounted in a service, or on a thread of its own.

use crate::hub::Hub;
use crate::pools::Pools;
use crate::routes::routes;
use axum::Router;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{fmt, io, thread};
use tokio::runtime;
use tokio::sync::oneshot;

/// The routes of a [`Monitor`] with its defaults, to be mounted in a service.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// use axum::Router;
/// use cabrank_monitor::Pools;
///
/// let pool = Pool::builder().build(Toy)?;
/// let app: Router = Router::new().nest_service("/pool", cabrank_monitor::router(Pools::new().with(&pool)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router(pools: Pools) -> Router {
    Monitor::new(pools).router()
}

/// Shows pools on a live page. Clones share one monitor.
///
/// ```
/// use cabrank_monitor::{Monitor, Pools};
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
///
/// let pool = Pool::builder().name("accounts").build(Toy)?;
/// let monitor = Monitor::new(Pools::new().with(&pool)).looks_per_second(2);
/// let page = monitor.listen("127.0.0.1:0")?; // served until `page` is dropped
/// assert!(page.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Monitor(Arc<Hub>);

impl Monitor {
    /// Creates a monitor of these pools. It does nothing before its page is mounted or served.
    pub fn new(pools: Pools) -> Self {
        Self(Hub::new(pools))
    }

    /// Also answers requests that name this host: `pools.example` with any port, `pools.example:8080` with that port alone. By default
    /// it answers only for names of this machine: `localhost`, names that end in `.localhost`, and loopback addresses. There is no
    /// password: allow only a host that is restricted to clients that may see call sites and errors. Over plain HTTP browsers mark
    /// cross-site requests for a loopback host alone: for any other, put TLS in front.
    pub fn allow_host(self, host: &str) -> Self {
        self.0.allow_host(host);
        self
    }

    /// The number of looks per second while somebody reads, from 1 to 10. Default: 4. Each look takes a pool's lock for some
    /// microseconds, however many clients read.
    pub fn looks_per_second(self, looks: u32) -> Self {
        self.0.looks_per_second(looks);
        self
    }

    /// Records nothing while nobody reads, so the charts begin when somebody opens the page. Default: the numbers of each pool are read
    /// once a second, which takes its lock for some microseconds, and five minutes of them are kept in about 30 KB.
    pub fn only_while_read(self) -> Self {
        self.0.only_while_read();
        self
    }

    /// Returns the routes of the page and its data, to be mounted anywhere: `nest_service("/pool", monitor.router())` answers both
    /// `/pool` and `/pool/`, whereas axum's `nest` answers only `/pool`. All addresses in the page are relative.
    ///
    /// If this is called within a runtime, that runtime takes the samples for the charts from now on, until the monitor is dropped or
    /// [stopped](Self::stop). Otherwise the first request starts them. The runtime's timer must be enabled.
    pub fn router(&self) -> Router {
        routes(&self.0)
    }

    /// Ends the streams of all readers, each with a last look, and refuses new readers. For a service whose shutdown waits for open
    /// requests: a stream has no end of its own.
    pub fn stop(&self) {
        self.0.end();
    }

    /// Serves the page at `address` on a thread of its own, `cabrank-monitor`, until the handle is dropped: for programs without a
    /// runtime. Port 0 selects any free port; see [`Listening::address`].
    ///
    /// # Errors
    ///
    /// Those of the system, and [`InvalidInput`](io::ErrorKind::InvalidInput) if the address is not a loopback one.
    pub fn listen(&self, address: impl ToSocketAddrs) -> io::Result<Listening> {
        let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
        match addresses.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{address} is no loopback address: all who reach it could see call sites and errors. If you want that, call \
                     `listen_openly`, and `allow_host` for the name by which it is reached"
                ),
            )),
            None => self.listen_at(&addresses),
        }
    }

    /// Like [`listen`](Self::listen), at any address. The page has no password: anyone who can reach it sees its content. Requests must
    /// name a host of this machine or an [allowed](Self::allow_host) one.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn listen_openly(&self, address: impl ToSocketAddrs) -> io::Result<Listening> {
        self.listen_at(&address.to_socket_addrs()?.collect::<Vec<_>>())
    }

    fn listen_at(&self, addresses: &[SocketAddr]) -> io::Result<Listening> {
        let listener = TcpListener::bind(addresses)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let hub = Arc::clone(&self.0);
        let serve = async move {
            let router = routes(&hub);
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router).into_future() => served,
                _ = stopped => Ok(()),
            }
        };
        // The end of the runtime also ends all streams.
        let thread = thread::Builder::new().name("cabrank-monitor".into()).spawn(move || runtime.block_on(serve))?;
        Ok(Listening { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// A served page. Dropping it stops serving, and waits until the thread has ended.
#[derive(Debug)]
#[must_use = "dropping it stops serving the page"]
pub struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Listening {
    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, for a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stops serving the page. Open pages show that the connection is lost.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
