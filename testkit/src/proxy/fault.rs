//! The faults of a proxy, and which of the bytes at hand may pass under each.

use super::Way;
use super::relay::RelayState;
use std::time::Duration;

/// A fault of a [`Proxy`](super::Proxy). Applies to open and to new connections, until another is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum NetworkFault {
    /// No fault: bytes held back by a stall continue on their way.
    #[default]
    None,
    /// The system refuses new connections, so they cannot be counted. Open ones continue.
    Refuse,
    /// New connections are accepted and reset at once. Open ones continue.
    #[cfg(feature = "reset")]
    ResetNew,
    /// New connections are accepted and stay silent, even after the fault. Open ones continue.
    Silence,
    /// Nothing passes in this direction, on any connection, including its end.
    Stall(Way),
    /// Nothing passes in either direction, on any connection.
    StallBoth,
    /// Everything arrives this much later, in both directions.
    Delay(Duration),
    /// The connection that carries the n-th byte in this direction from now on is closed right after it; then the fault is over.
    CloseAfter(Way, u64),
    /// The connection that carries this text in this direction is closed before the text's last byte; then the fault is over.
    CloseAt(Way, &'static [u8]),
    /// Wherever the first text arrives in one piece in this direction, the second replaces it. Both must have the same length.
    Garble(Way, &'static [u8], &'static [u8]),
}

impl NetworkFault {
    pub(super) fn check(self) {
        if let Self::CloseAt(_, text) | Self::Garble(_, text, _) = self {
            assert!((1..=LONGEST).contains(&text.len()), "a text to look for has 1 to {LONGEST} bytes");
        }
        if let Self::Garble(_, text, instead) = self {
            assert_eq!(text.len(), instead.len(), "a garbled text keeps its length");
        }
    }
}

/// What happens to the bytes at hand.
pub(super) enum Verdict {
    /// Nothing yet.
    Wait,
    /// They pass, this much later.
    Late(Duration),
    /// This many of them pass. After the `last` of them, the connection is closed.
    Pass { bytes: usize, last: bool },
}

/// What the present fault does to `bytes` on their way. `before` are the last bytes that passed.
pub(super) fn judge(state: &mut RelayState, way: Way, before: &[u8], bytes: &mut [u8]) -> Verdict {
    let all = Verdict::Pass { bytes: bytes.len(), last: false };
    match state.fault {
        NetworkFault::StallBoth => Verdict::Wait,
        NetworkFault::Stall(stalled) if stalled == way => Verdict::Wait,
        NetworkFault::Delay(delay) => Verdict::Late(delay),
        NetworkFault::CloseAfter(closed, left) if closed == way => {
            let last = left <= bytes.len() as u64;
            state.fault =
                if last { NetworkFault::None } else { NetworkFault::CloseAfter(way, left - bytes.len() as u64) };
            if last { Verdict::Pass { bytes: left as usize, last } } else { all }
        }
        NetworkFault::CloseAt(closed, text) if closed == way => match end_of(text, before, bytes) {
            Some(end) => {
                state.fault = NetworkFault::None;
                Verdict::Pass { bytes: end - 1, last: true }
            }
            None => all,
        },
        NetworkFault::Garble(garbled, text, instead) if garbled == way => {
            for at in 0..bytes.len().saturating_sub(text.len() - 1) {
                if bytes[at..].starts_with(text) {
                    bytes[at..at + text.len()].copy_from_slice(instead);
                }
            }
            all
        }
        _ => all,
    }
}

/// How many of `bytes` must pass to complete the text, which may have begun in `before`.
fn end_of(text: &[u8], before: &[u8], bytes: &[u8]) -> Option<usize> {
    let before = &before[before.len().saturating_sub(text.len() - 1)..];
    let all = [before, bytes].concat();
    let begin = all.windows(text.len()).position(|part| part == text)?;
    Some(begin + text.len() - before.len())
}

/// The greatest length of a text to find, and so of the bytes that are remembered.
pub(super) const LONGEST: usize = 256;
