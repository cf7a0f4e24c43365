//! Where the events of a server go, by its policy's sinks and by what can be reached.

use portcullis_policy::Sink;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The standard error of a container, in words.
pub const CONTAINER: &str = "the standard error of the container's first process";

/// The sinks of a set, by their words.
pub fn words(sinks: u32) -> Vec<&'static str> {
    Sink::ALL.into_iter().filter(|sink| sink.is_in(sinks)).map(Sink::word).collect()
}

/// The inode of the host's own PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const HOST_PIDS: u64 = 0xefff_fffc;

/// Whether this process is in a PID namespace that is not the host's.
fn is_in_container() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|meta| meta.ino() != HOST_PIDS)
}

/// Whether somebody listens at a sink's socket.
fn listens(sink: Sink) -> bool {
    let path = sink.socket().map(|path| Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())));
    let socket = std::os::unix::net::UnixDatagram::unbound();
    path.is_some_and(|path| socket.is_ok_and(|socket| socket.connect(path).is_ok()))
}

/// What a server has instead whose policy's sinks are these, where none of them can be reached from here; `None` where one can.
pub fn instead(sinks: &[Sink]) -> Option<String> {
    // Whether the log can be made is said where it is made.
    if sinks.iter().any(|sink| sink.socket().is_none() || listens(*sink)) {
        return None;
    }
    let names: Vec<&str> = sinks.iter().map(|sink| sink.word()).collect();
    let names = if names.is_empty() {
        "no sink is configured".to_owned()
    } else {
        format!("cannot reach {}", names.join(" or "))
    };
    let other = [Sink::Journald, Sink::Syslog].into_iter().find(|sink| listens(*sink));
    Some(match other {
        Some(other) => format!("{names}: events go to {}", other.word()),
        None if is_in_container() => format!("{names}: events go to {CONTAINER}"),
        None => format!("{names}: events are dropped; help: [log] sink = [\"stderr\"] or [\"file\"]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_without_a_socket_needs_no_other() {
        assert_eq!(instead(&[Sink::Journald, Sink::Stderr]), None);
        assert_eq!(instead(&[Sink::File]), None);
        assert_eq!(words(Sink::Syslog.bit() | Sink::Stderr.bit()), ["syslog", "stderr"]);
    }
}
