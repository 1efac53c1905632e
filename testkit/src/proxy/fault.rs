//! What a proxy can do wrong, and what of the bytes at hand may pass while it does.

use super::Way;
use super::relay::RelayState;
use std::time::Duration;

/// What a [`Proxy`](super::Proxy) does wrong. Holds for connections that are open and for those to come, until another is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum NetworkFault {
    /// Nothing: what was held back by a stall goes on its way.
    #[default]
    None,
    /// New connections are refused by the system, which nobody can count. Open ones go on.
    Refuse,
    /// New connections are accepted and reset at once. Open ones go on.
    #[cfg(feature = "reset")]
    ResetNew,
    /// New connections are accepted and nothing is ever said on them, also later. Open ones go on.
    Silence,
    /// Nothing passes this way, on any connection; neither does its end.
    Stall(Way),
    /// Nothing passes either way, on any connection.
    StallBoth,
    /// Everything comes this much later, in both ways.
    Delay(Duration),
    /// The connection that carries the n-th byte this way from now on is closed right after it; then there is no fault.
    CloseAfter(Way, u64),
    /// The connection on which this text would pass this way is closed before its last byte does; then there is no fault.
    CloseAt(Way, &'static [u8]),
    /// Wherever the first text comes this way in one piece, the second takes its place. It must be as long.
    Garble(Way, &'static [u8], &'static [u8]),
}

impl NetworkFault {
    pub(super) fn check(self) {
        if let Self::CloseAt(_, text) | Self::Garble(_, text, _) = self {
            assert!((1..=LONGEST).contains(&text.len()), "a text to look for has 1 to {LONGEST} bytes");
        }
        if let Self::Garble(_, text, instead) = self {
            assert_eq!(text.len(), instead.len(), "what is garbled keeps its length");
        }
    }
}

/// What may become of the bytes at hand.
pub(super) enum Verdict {
    /// Nothing yet.
    Wait,
    /// They pass, so much later.
    Late(Duration),
    /// So many of them pass, and if it is the `last` time, the connection is closed then.
    Pass { bytes: usize, last: bool },
}

/// What the fault of this moment makes of `bytes` on their way. `before` are the last ones that passed.
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

/// How many of `bytes` must have passed for the text to be complete, which may have begun before.
fn end_of(text: &[u8], before: &[u8], bytes: &[u8]) -> Option<usize> {
    let before = &before[before.len().saturating_sub(text.len() - 1)..];
    let all = [before, bytes].concat();
    let begin = all.windows(text.len()).position(|part| part == text)?;
    Some(begin + text.len() - before.len())
}

/// How long a text can be that is looked for, and so how much of what has passed is remembered.
pub(super) const LONGEST: usize = 256;
