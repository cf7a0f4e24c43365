//! What "default" stands for, with its origin.

use crate::model::{From, Net, Origin};
use crate::{entry, lists};

fn built_in(text: String) -> Origin {
    Origin { text, file: None, line: 0 }
}

/// The built-in common ports.
pub(crate) fn default_ports() -> Vec<From<(u16, u16)>> {
    let one = |port| From { value: (port, port), origin: built_in(format!("common port {port} (default)")) };
    lists::COMMON_PORTS.into_iter().map(one).collect()
}

/// The built-in local ranges.
pub(crate) fn default_ranges() -> Vec<Net> {
    let one = |text: &str| {
        let net = entry::network(text).unwrap_or_else(|why| unreachable!("built-in list: {}", why.message));
        Net { net, ports: (0, u16::MAX), origin: built_in(format!("local range {text} (default)")) }
    };
    lists::LOCAL_RANGES.into_iter().map(one).collect()
}

/// The built-in shells.
pub(crate) fn default_shells() -> Vec<From<String>> {
    let one = |name: &str| From { value: name.to_owned(), origin: built_in(format!("shell {name} (default)")) };
    lists::SHELLS.into_iter().map(one).collect()
}

/// The built-in allowed commands.
pub(crate) fn default_commands() -> Vec<From<Vec<String>>> {
    let one = |text: &str| From {
        value: text.split(' ').map(str::to_owned).collect(),
        origin: built_in(format!("allow \"{text}\" (default)")),
    };
    lists::COMMANDS.into_iter().map(one).collect()
}

/// The built-in metadata services.
pub(crate) fn default_metadata() -> Vec<Net> {
    let one = |text: &str| {
        let net = entry::network(text).unwrap_or_else(|why| unreachable!("built-in list: {}", why.message));
        Net { net, ports: (0, u16::MAX), origin: built_in(format!("metadata service {} (default)", net.addr())) }
    };
    lists::METADATA.into_iter().map(one).collect()
}

/// The built-in places of programs.
pub(crate) fn default_places() -> Vec<From<String>> {
    let one = |name: &str| From { value: name.to_owned(), origin: built_in(format!("place {name} (default)")) };
    lists::PLACES.into_iter().map(one).collect()
}

/// The built-in programs that may run without the library.
pub(crate) fn default_unguarded() -> Vec<From<String>> {
    let one = |path: &str| From { value: path.to_owned(), origin: built_in(format!("allow {path} (default)")) };
    lists::UNGUARDED.into_iter().map(one).collect()
}

/// The built-in tools.
pub(crate) fn default_tools() -> Vec<From<String>> {
    let one = |name: &str| From { value: name.to_owned(), origin: built_in(format!("tool {name} (default)")) };
    lists::TOOLS.into_iter().map(one).collect()
}
