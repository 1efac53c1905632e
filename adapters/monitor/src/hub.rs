//! The looks: one sampler for all readers. It sleeps while nobody reads, and never waits for a reader: a slow one receives the newest
//! look once it is ready, and misses those in between. The charts also have the samples that `watch.rs` requests.

use crate::history::History;
use crate::look;
use crate::pools::Pools;
use axum::body::Bytes;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

pub(crate) struct Hub {
    pools: Pools,
    /// Host names besides those of this machine.
    hosts: Mutex<Vec<String>>,
    /// The pause between two looks, in milliseconds.
    pause: AtomicU64,
    /// Whether no samples are wanted while nobody reads.
    only_while_read: AtomicBool,
    is_watched: AtomicBool,
    sampler: Mutex<Sampler>,
    frames: watch::Sender<Frame>,
}

struct Sampler {
    /// The number of the running shift.
    shift: Option<u64>,
    shifts: u64,
    looks: u64,
    first: Instant,
    history: History,
    /// The newest look, and the time when it was taken.
    newest: Option<(Instant, Bytes)>,
}

/// A message to all readers.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// A look, as an event of a stream.
    Look(Bytes),
    /// Nothing follows.
    End,
}

/// There are too many readers, or the monitor was stopped.
pub(crate) struct Refused(pub(crate) &'static str);

impl Hub {
    pub(crate) fn new(pools: Pools) -> Arc<Self> {
        let history = History::default();
        let sampler = Sampler { shift: None, shifts: 0, looks: 0, first: Instant::now(), history, newest: None };
        Arc::new(Self {
            pools,
            hosts: Mutex::default(),
            pause: AtomicU64::new(1_000 / LOOKS_PER_SECOND),
            only_while_read: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            sampler: Mutex::new(sampler),
            frames: watch::Sender::new(Frame::Look(Bytes::new())),
        })
    }

    /// An IPv6 address without a port may stand in brackets or not.
    pub(crate) fn allow_host(&self, host: &str) {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).push(bare.to_owned());
    }

    /// Whether a request may name this host, whose name without its port is `name`. Browsers leave out the port that is the scheme's
    /// default.
    pub(crate) fn allows_host(&self, name: &str, host: &str) -> bool {
        let is_allowed = |known: &String| {
            let short = known.strip_suffix(":80").or_else(|| known.strip_suffix(":443")).unwrap_or(known);
            known.eq_ignore_ascii_case(name) || [known, short].iter().any(|known| known.eq_ignore_ascii_case(host))
        };
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_allowed)
    }

    pub(crate) fn looks_per_second(&self, looks: u32) {
        let looks = u64::from(looks).clamp(1, MOST_LOOKS_PER_SECOND);
        self.pause.store(1_000 / looks, Ordering::Relaxed);
    }

    pub(crate) fn only_while_read(&self) {
        self.only_while_read.store(true, Ordering::Relaxed);
    }

    /// Ends all streams, each with a look taken now.
    pub(crate) fn end(&self) {
        self.look(&mut self.sampler());
        self.frames.send_replace(Frame::End);
    }

    fn has_ended(&self) -> bool {
        matches!(*self.frames.borrow(), Frame::End)
    }

    /// Whether the caller must start the watch, which calls [`sample`](Self::sample) each second.
    pub(crate) fn begins_watch(&self) -> bool {
        self.wants_samples() && !self.is_watched.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn ends_watch(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
    }

    /// Records the numbers for the charts, unless the sampler runs, which does so too. `false`: no more samples are wanted.
    pub(crate) fn sample(&self) -> bool {
        let mut sampler = self.sampler();
        if sampler.shift.is_none() {
            let pools = self.pools.stats();
            let at = sampler.first.elapsed();
            sampler.history.add(at, pools.iter().map(|(key, stats)| (*key, stats)));
        }
        self.wants_samples()
    }

    fn wants_samples(&self) -> bool {
        !self.only_while_read.load(Ordering::Relaxed) && !self.has_ended()
    }

    /// The beginning of the charts.
    pub(crate) fn first(&self) -> Instant {
        self.sampler().first
    }

    /// Subscribes from the next look on. Also returns the charts' data so far.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Result<(Bytes, watch::Receiver<Frame>), Refused> {
        let mut sampler = self.sampler();
        if self.has_ended() {
            return Err(Refused("the monitor was stopped"));
        }
        if self.frames.receiver_count() >= MOST_READERS {
            return Err(Refused("too many readers"));
        }
        let reader = self.frames.subscribe();
        if sampler.shift.is_none() {
            sampler.shifts += 1;
            sampler.shift = Some(sampler.shifts);
            // The shift ends with its runtime, or when nobody reads; the next reader starts another.
            tokio::spawn(Shift { hub: Arc::clone(self), number: sampler.shifts }.work());
        }
        let history = format!("retry: 1000\nevent: history\ndata: {}\n\n", sampler.history.to_json());
        Ok((history.into(), reader))
    }

    /// The newest look if it is recent enough, else a new one.
    pub(crate) fn newest(&self) -> Bytes {
        let mut sampler = self.sampler();
        let pause = Duration::from_millis(self.pause.load(Ordering::Relaxed));
        match &sampler.newest {
            Some((at, look)) if at.elapsed() < pause => look.clone(),
            _ => self.look(&mut sampler),
        }
    }

    /// The newest look as the last event of a stream.
    pub(crate) fn last(&self) -> Bytes {
        as_event(&self.newest())
    }

    fn look(&self, sampler: &mut Sampler) -> Bytes {
        let sights = self.pools.look();
        let now = Instant::now();
        sampler.looks += 1;
        let numbers = sights.iter().map(|sight| (sight.key, &sight.now.stats));
        sampler.history.add(now.duration_since(sampler.first), numbers);
        let recorder = self.pools.recorder();
        let look = json!({
            "number": sampler.looks,
            "at": SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            "process": std::process::id(),
            "pools": sights.iter().map(|sight| look::pool(sight, &sampler.history)).collect::<Vec<Value>>(),
            "events": recorder.map(|recorder| recorder.newest(MOST_EVENTS)),
        });
        let look = Bytes::from(look.to_string());
        sampler.newest = Some((now, look.clone()));
        look
    }

    fn sampler(&self) -> MutexGuard<'_, Sampler> {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sampler's work while somebody reads.
struct Shift {
    hub: Arc<Hub>,
    number: u64,
}

impl Shift {
    async fn work(self) {
        while let Some(pause) = self.look() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes a look for all readers. Returns the pause before the next; `None`: nobody reads any more.
    fn look(&self) -> Option<Duration> {
        let hub = &self.hub;
        let mut sampler = hub.sampler();
        if hub.frames.receiver_count() == 0 {
            // A later reader finds that no shift is running.
            sampler.shift = None;
            return None;
        }
        let look = hub.look(&mut sampler);
        let frame = as_event(&look);
        hub.frames.send_if_modified(|newest| {
            let goes_on = matches!(newest, Frame::Look(_));
            if goes_on {
                *newest = Frame::Look(frame);
            }
            goes_on
        });
        Some(Duration::from_millis(hub.pause.load(Ordering::Relaxed)))
    }
}

impl Drop for Shift {
    /// The runtime has ended, or a look has panicked.
    fn drop(&mut self) {
        let mut sampler = self.hub.sampler();
        sampler.shift = sampler.shift.filter(|number| *number != self.number);
    }
}

fn as_event(look: &[u8]) -> Bytes {
    [b"data: ".as_slice(), look, b"\n\n"].concat().into()
}

const LOOKS_PER_SECOND: u64 = 4;
const MOST_LOOKS_PER_SECOND: u64 = 10;
const MOST_READERS: usize = 64;
const MOST_EVENTS: usize = 60;
