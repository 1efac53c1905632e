//! HTTP/1.1 clients (hyper) that keep their connections. Each sends its next request as soon as it has an answer. A client that loses
//! patience hangs up and sends a new request; one that gets 503 returns after a moment.

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A number of clients, and what each does.
#[derive(Clone, Debug)]
pub struct Crowd {
    pub clients: usize,
    pub path: String,
    pub during: Duration,
    /// How long a client waits for an answer. Clients with limited patience hang up at the end; the others wait for their last answer.
    pub patience: Option<Duration>,
}

#[derive(Debug, Default)]
pub struct Answers {
    /// How long each successful answer took, in milliseconds, sorted.
    pub good: Vec<f64>,
    /// Requests answered with 503: no connection in time.
    pub busy: usize,
    /// Requests whose client lost patience.
    pub hung_up: usize,
    pub elapsed: Duration,
}

impl Answers {
    pub fn all(&self) -> usize {
        self.good.len() + self.busy + self.hung_up
    }
}

impl Crowd {
    pub async fn ask(&self, address: SocketAddr) -> Result<Answers> {
        let mut opening = JoinSet::new();
        for _ in 0..self.clients {
            opening.spawn(Connection::open(address));
        }
        let connections = opening.join_all().await;
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for connection in connections {
            clients.spawn(be_client(self.clone(), address, connection?, began + self.during));
        }
        let mut all = Answers::default();
        while let Some(answers) = clients.join_next().await {
            let answers = answers??;
            all.good.extend(answers.good);
            all.busy += answers.busy;
            all.hung_up += answers.hung_up;
        }
        all.elapsed = began.elapsed();
        all.good.sort_by(f64::total_cmp);
        Ok(all)
    }
}

/// The life of one client.
async fn be_client(crowd: Crowd, address: SocketAddr, mut connection: Connection, end: Instant) -> Result<Answers> {
    let mut answers = Answers::default();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(answers);
        }
        let loses_patience = crowd.patience.map(|patience| asked + patience);
        let limit = loses_patience.map_or(asked + FOR_EVER, |moment| moment.min(end));
        match timeout_at(limit, connection.get(&crowd.path)).await {
            Ok(answer) => match answer?.0 {
                StatusCode::OK => answers.good.push(asked.elapsed().as_secs_f64() * 1e3),
                StatusCode::SERVICE_UNAVAILABLE => {
                    answers.busy += 1;
                    sleep_until(end.min(Instant::now() + MOMENT)).await;
                }
                other => bail!("the service answered {other}"),
            },
            Err(_) if limit == end => return Ok(answers),
            Err(_) => {
                answers.hung_up += 1;
                drop(connection);
                connection = Connection::open(address).await?;
            }
        }
    }
}

/// The time from now until a request for `path` succeeds within `prompt`, and the number of requests that succeeded.
pub async fn until_prompt(address: SocketAddr, path: &str, prompt: Duration) -> Result<(Duration, usize)> {
    let began = Instant::now();
    let mut connection = Connection::open(address).await?;
    let mut good = 0;
    loop {
        let asked = Instant::now();
        let (status, _) = connection.get(path).await?;
        good += usize::from(status == StatusCode::OK);
        let is_prompt = status == StatusCode::OK && asked.elapsed() <= prompt;
        if is_prompt || began.elapsed() > FOR_EVER {
            return Ok((began.elapsed(), good));
        }
    }
}

/// The requests that the service has under way, and those whose queries ran to their end.
pub async fn counts(address: SocketAddr) -> Result<(u64, u64)> {
    let (_, body) = Connection::open(address).await?.get("/counts").await?;
    let text = String::from_utf8(body.to_vec())?;
    let (pending, finished) = text.split_once(' ').context("the service's answer is incomplete")?;
    Ok((pending.parse()?, finished.parse()?))
}

/// Closes when dropped, because the task that drives it ends with the set.
struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    _carrier: JoinSet<hyper::Result<()>>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, carrier) = http1::handshake(TokioIo::new(stream)).await?;
        let mut set = JoinSet::new();
        set.spawn(carrier);
        Ok(Self { requests, _carrier: set })
    }

    async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.requests.ready().await?;
        let request = Request::get(path).header(HOST, "localhost").body(Empty::new())?;
        let answer = self.requests.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// A busy service asks for at least this much by `Retry-After`.
const MOMENT: Duration = Duration::from_millis(100);
/// Longer than any wait here.
const FOR_EVER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::future::pending;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    /// Sends a message when dropped.
    struct Dropped(mpsc::UnboundedSender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    async fn listening(routes: Router) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, routes).await });
        address
    }

    fn crowd(path: &str, patience: Option<u64>) -> Crowd {
        let patience = patience.map(Duration::from_millis);
        Crowd { clients: 5, path: path.into(), during: Duration::from_millis(500), patience }
    }

    #[test]
    fn answers_are_counted_by_what_they_say() {
        crate::tasks::runtime().block_on(async {
            let routes = Router::new()
                .route("/good", get(|| async { "7" }))
                .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
                .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }));
            let address = listening(routes).await;
            let good = crowd("/good", None).ask(address).await.unwrap();
            assert!(good.good.len() >= 5 && good.busy == 0 && good.hung_up == 0, "{good:?}");
            let busy = crowd("/busy", None).ask(address).await.unwrap();
            assert!(busy.good.is_empty() && busy.busy >= 5 && busy.hung_up == 0, "{busy:?}");
            assert!(crowd("/broken", None).ask(address).await.is_err(), "a fault is no answer to be counted");
        });
    }

    #[test]
    fn a_client_that_loses_patience_hangs_up_and_the_service_hears_it() {
        crate::tasks::runtime().block_on(async {
            let (sender, mut dropped) = mpsc::unbounded_channel();
            let silent = get(move || {
                let on_drop = Dropped(sender.clone());
                async move {
                    pending::<()>().await;
                    drop(on_drop);
                }
            });
            let address = listening(Router::new().route("/silent", silent)).await;
            let answers = crowd("/silent", Some(200)).ask(address).await.unwrap();
            assert!(answers.good.is_empty() && answers.hung_up >= 5, "{answers:?}");
            for _ in 0..5 {
                dropped.recv().await.expect("the routes are still there");
            }
        });
    }
}
