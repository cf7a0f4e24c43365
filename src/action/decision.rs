//! What comes of an action that was judged: one type on every path.

/// The action is refused; its caller gets this errno.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub i32);

impl Refused {
    /// The call ends here.
    pub fn with(errno: i32) -> Refused {
        crate::process::thread::forget_straight();
        Refused(errno)
    }
}

/// The action goes ahead, with what its caller needs for that, or is refused. There is no third: what could not be judged
/// was decided by the policy (`portcullis_policy::Unknown`).
pub type Decision<T = ()> = Result<T, Refused>;

/// How long a decision to go ahead holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// For this call.
    Once,
    /// For this call, on the socket that was looked at.
    OnSocket,
    /// For a call without its address, of which the socket takes no notice.
    Ignored,
    /// For every call to the same destination while this policy is in force.
    WhilePolicy,
    /// Until something is sent on the socket, which was connected to learn its own address; true where that is refused.
    UntilSent(bool),
}
