//! An action that is judged: who does it, what is done, and what came of it.

mod arguments;
mod by;
mod decision;
mod exec;
mod place;

pub use arguments::Arguments;
pub use by::{By, Deed, Other};
pub use decision::{Decision, Holds, Refused};
pub use exec::{Exec, Guarding, Target};
pub use place::{Place, is_changeable};
