//! Connections, datagrams and ports, to and with addresses of every shape.

use super::{Lines, exhaust};
use crate::random::Random;

/// Addresses by which a listener can be reached, and some by which none can.
const HOSTS4: [&str; 4] = ["192.88.1.10", "192.88.1.10", "0.0.0.0", "127.0.0.1"];
const HOSTS6: [&str; 9] = [
    "2a0e:1::10",
    "2a0e:1::10",
    "::ffff:192.88.1.10",
    "64:ff9b::c058:10a",
    "2002:c058:10a::1",
    "::192.88.1.10",
    "::",
    "::1",
    "fe80::1",
];

fn address(random: &mut Random, lines: &mut Lines, is_six: bool) -> String {
    // Now and then the other family's address.
    let host = if is_six != random.once_in(12) { random.pick(&HOSTS6) } else { random.pick(&HOSTS4) };
    let port = random.pick(&[4444, 4444, 4444, 4444, 9, 0, 80, 3306, 53]);
    let mut text = format!("host={host} port={port}");
    if random.once_in(4) {
        let family = match random.below(6) {
            0..=2 => "unspec".to_owned(),
            3 => "unix".to_owned(),
            4 => random.pick(&["2", "10"]).to_owned(),
            _ => random.below(65536).to_string(),
        };
        text.push_str(&format!(" family={family}"));
    }
    if random.once_in(3) {
        let length = match random.below(4) {
            0 => random.pick(&[0, 1, 2, 8, 15, 16, 17, 24, 27, 28, 29, 110, 127, 128, 129, 130, 200]),
            1 => random.below(200),
            2 => random.pick(&[128, 129, 255, 256, 1000, 4096, 65536, 0x7fff_ffff]),
            _ => 28,
        };
        text.push_str(&format!(" len={length}"));
    }
    if random.once_in(3) && !text.contains("place=") {
        text.push_str(&format!(" place={}", random.pick(&["end", "end", "odd", "null"])));
    }
    if random.once_in(10) {
        text.push_str(&format!(" scope={} flow={}", random.below(3), random.below(1 << 20)));
    }
    // A hook reads an address without asking first: docs/threat-model.md.
    if random.once_in(60) {
        lines.push("limit a pointer into memory that cannot be read faults in the hook, where the kernel gives EFAULT");
        text.push_str(random.pick(&[" place=cut", " place=wild"]));
    }
    if random.once_in(10) {
        text.push_str(" pad=255");
    }
    text
}

fn via(random: &mut Random) -> &'static str {
    random.pick(&["", "", "", " via=syscall", " via=high", " via=higher"])
}

fn send(random: &mut Random, lines: &mut Lines, is_six: bool) -> String {
    let to = address(random, lines, is_six);
    let flags = random.pick(&[
        "",
        "",
        " flags=fastopen",
        " flags=dontwait",
        " flags=more",
        " flags=fastopen,dontwait",
        " flags=confirm",
    ]);
    let data = if random.once_in(8) { " data=" } else { "" };
    match random.below(6) {
        0 | 1 => format!("sendto {to}{flags}{data}{}", via(random)),
        2 | 3 => format!("sendmsg {to}{flags}{data}{}", via(random)),
        _ => format!("sendmmsg {to}{flags} count={}{}", random.pick(&[0, 1, 2, 5, 70, 1100]), via(random)),
    }
}

/// A send that names no address, of a socket that was connected before.
fn plain_send(random: &mut Random) -> String {
    match random.below(5) {
        0 => "write".to_owned(),
        1 => "writev".to_owned(),
        2 => "send".to_owned(),
        3 => format!("sendmsg place=none{}", via(random)),
        _ => format!("sendto place=none{}", via(random)),
    }
}

pub fn action(random: &mut Random, lines: &mut Lines) -> &'static str {
    let kind = random.pick(&["udp4", "udp4", "tcp4", "udp6", "tcp6", "raw4"]);
    let is_six = kind.ends_with('6');
    lines.push(format!("socket kind={kind}"));
    exhaust(random, lines);
    match random.below(10) {
        0..=3 => {
            let to = address(random, lines, is_six);
            lines.push(format!("connect {to}{}", via(random)));
            if random.once_in(2) {
                lines.push(plain_send(random));
            }
            "connect"
        }
        4 => {
            // Connected twice, as programs do that undo a connection or learn their own address.
            for _ in 0..2 {
                let to = address(random, lines, is_six);
                lines.push(format!("connect {to}{}", via(random)));
            }
            lines.push(plain_send(random));
            "connect-twice"
        }
        5..=7 => {
            let line = send(random, lines, is_six);
            lines.push(line);
            "send"
        }
        _ => {
            let port = random.pick(&[4445, 4445, 0, 80]);
            let host = if is_six {
                random.pick(&["::", "2a0e:1::10", "::ffff:0.0.0.0"])
            } else {
                random.pick(&["0.0.0.0", "192.88.1.10", "127.0.0.1"])
            };
            let mut line = format!("bind host={host} port={port}");
            if random.once_in(3) {
                line.push_str(if host == "0.0.0.0" || random.once_in(3) { " family=unspec" } else { "" });
            }
            if random.once_in(2) {
                line.push_str(&format!(" place={}", random.pick(&["end", "odd"])));
            }
            if random.once_in(3) {
                line.push_str(&format!(" len={}", random.pick(&[2, 8, 16, 24, 28, 100, 128, 129])));
            }
            lines.push(format!("{line}{}", via(random)));
            if random.once_in(2) {
                lines.push(format!("listen{}", via(random)));
            }
            "listen"
        }
    }
}
