//! The packages and the command in a machine with real systemd and Debian's own units.

mod contain;
mod container;
#[path = "../distro/names.rs"]
mod distro;
mod docs;
mod doctor;
mod fleet;
mod hardened;
mod hostile;
mod life;
mod load;
mod machine;
mod newcomer;
mod packages;
mod probes;
mod recipes;
mod reload;
mod repository;
#[path = "../servers/harness/root.rs"]
mod root;
mod selinux;
mod siege;
