//! An action that is judged: who does it, what is done, and what came of it.

mod actor;
mod arguments;
mod decision;
mod exec;
mod place;

pub use actor::{Actor, Other, SocketOperation};
pub use arguments::Arguments;
pub use decision::{Decision, Holds, Refused};
pub use exec::{Exec, ExecTarget, Guarding};
pub use place::{Place, is_changeable};
