//! What a call costs in the library's own instructions does not creep: benches/guard/instructions.txt has the figures that
//! are kept. `PORTCULLIS_UPDATE=1` writes them anew.

use crate::counting::{CALLS, addresses, instructions, program};
use crate::harness::{Place, enter};
use std::fmt::Write;
use std::path::Path;

/// By how much a figure may grow unnoticed: 3 %, and one instruction of rounding.
fn allowed(kept: f64) -> f64 {
    kept * 1.03 + 1.0
}

/// The counts are those of one architecture.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_call_costs_more_than_is_kept() {
    enter();
    addresses();
    let place = Place::new();
    let calls = program(&place, "calls");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/instructions.txt");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let kept = |name: &str| -> Option<f64> {
        text.lines().find_map(|line| line.split_once('\t').filter(|(_, of)| *of == name)?.0.parse().ok())
    };
    let (mut new, mut wrong) = (String::new(), Vec::new());
    for call in &CALLS {
        // Where events go to is no part of the library.
        if call.policy.sink == "journald" {
            continue;
        }
        let own = instructions(&place, &calls, call, true).own.round();
        writeln!(new, "{own}\t{}", call.name).expect("a string");
        match kept(call.name) {
            Some(_) if own < 1.0 => wrong.push(format!("{}: valgrind does not see the library", call.name)),
            Some(kept) if own <= allowed(kept) => {}
            Some(kept) => wrong.push(format!("{}: {own}, kept are {kept}", call.name)),
            None => wrong.push(format!("{}: {own}, and none are kept", call.name)),
        }
    }
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&file, new).expect("written");
        return;
    }
    assert!(
        wrong.is_empty(),
        "more instructions than benches/guard/instructions.txt keeps; where that is meant, run this test with \
         PORTCULLIS_UPDATE=1 and say why in the commit:\n{}",
        wrong.join("\n")
    );
}
