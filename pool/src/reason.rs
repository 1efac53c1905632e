//! Why connections leave a pool, and why requests are refused.

use std::fmt;

/// Why a connection left the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The manager or an error proved it unusable.
    Broken,
    /// A check failed.
    CheckFailed,
    /// A reset failed.
    ResetFailed,
    /// Its server lacks the required role ([`Fault::WrongRole`](crate::Fault::WrongRole)), for example a primary that was demoted.
    WrongRole,
    /// A driver call overran its limit, or was aborted to serve a caller sooner.
    Overran,
    /// It was returned by a panicking thread, or a driver call panicked.
    Panicked,
    /// It reached `max_lifetime`.
    Expired,
    /// It was idle for `idle_timeout`.
    Idle,
    /// `evict_all` closed it.
    Evicted,
    /// The pool was made smaller.
    Surplus,
    /// Its holder discarded it.
    Discarded,
    /// Its holder left session state that no reset undoes ([`SessionState::BeyondReset`](crate::SessionState::BeyondReset)).
    BeyondReset,
    /// Its holder's statement was [cancelled](crate::Canceller::cancel) at the server; a late cancel must not hit another holder.
    Cancelled,
    /// [`on_checkout`](crate::Builder::on_checkout) or [`on_return`](crate::Builder::on_return) refused it.
    Refused,
    /// Its holder took it out of the pool, still open.
    Detached,
    /// The pool was closed.
    PoolClosed,
}

impl CloseReason {
    /// All reasons. Later versions may add some.
    pub const ALL: &'static [Self] = &[
        Self::Broken,
        Self::CheckFailed,
        Self::ResetFailed,
        Self::WrongRole,
        Self::Overran,
        Self::Panicked,
        Self::Expired,
        Self::Idle,
        Self::Evicted,
        Self::Surplus,
        Self::Discarded,
        Self::BeyondReset,
        Self::Cancelled,
        Self::Refused,
        Self::Detached,
        Self::PoolClosed,
    ];

    /// Returns the reason as a word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::CheckFailed => "check_failed",
            Self::ResetFailed => "reset_failed",
            Self::WrongRole => "wrong_role",
            Self::Overran => "overran",
            Self::Panicked => "panicked",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
            Self::Surplus => "surplus",
            Self::Discarded => "discarded",
            Self::BeyondReset => "beyond_reset",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Detached => "detached",
            Self::PoolClosed => "pool_closed",
        }
    }

    /// Whether a connection closed for this reason gets an orderly close. Otherwise it is aborted.
    pub(crate) fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::WrongRole
                | Self::Expired
                | Self::Idle
                | Self::Evicted
                | Self::Surplus
                | Self::Discarded
                | Self::BeyondReset
                | Self::Cancelled
                | Self::Refused
                | Self::PoolClosed
        )
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request for a connection was refused without a wait or before its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// No connection can be opened until the cause, such as a wrong password, is fixed.
    Connect,
    /// The pool is closed.
    Closed,
    /// No connection was ready for [`try_get`](crate::Pool::try_get).
    NotAvailable,
    /// A hook or a manager's method may not wait for its own pool.
    CalledFromHook,
    /// The future of [`get_async`](crate::Pool::get_async) was dropped while it waited.
    Cancelled,
}

impl RefusalReason {
    /// All reasons. Later versions may add some.
    pub const ALL: &'static [Self] =
        &[Self::Connect, Self::Closed, Self::NotAvailable, Self::CalledFromHook, Self::Cancelled];

    /// Returns the reason as a word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::NotAvailable => "not_available",
            Self::CalledFromHook => "called_from_hook",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
