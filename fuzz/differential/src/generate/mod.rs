//! Makes a case from a seed: the state of a process, then one action.

mod network;
mod program;
mod recipe;

use crate::random::Random;

/// The lines of a case.
pub struct Lines(Vec<String>);

impl Lines {
    pub fn push(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }
}

pub fn case(random: &mut Random) -> String {
    let mut lines = Lines(Vec::new());
    let class = match random.below(12) {
        0 | 1 => recipe::action(random, &mut lines),
        2..=5 => {
            state(random, &mut lines);
            network::action(random, &mut lines)
        }
        _ => program::action(random, &mut lines),
    };
    format!("class {class}\n{}\n", lines.0.join("\n"))
}

/// What may be unusual about the process.
pub fn state(random: &mut Random, lines: &mut Lines) {
    if random.once_in(3) {
        lines.push("user 33");
    } else if random.once_in(12) {
        lines.push(format!("cover {}", random.pick(&["/proc", "/run/portcullis", "/etc", "/tmp"])));
    }
    if random.once_in(6) {
        lines.push("descend");
    }
    if random.once_in(8) {
        lines.push(format!("env-many {}", random.pick(&[3_u32, 200, 1015, 1019, 1020, 1100, 5000])));
    }
    if random.once_in(10) {
        lines.push(format!("close-from 3 how={}", random.pick(&["close", "range", "syscall", "dup2"])));
    }
    if random.once_in(12) {
        lines.push(format!("block {}", random.pick(&[1_u32, 13, 17, 34])));
    }
    if random.once_in(12) {
        lines.push(format!("ignore {}", random.pick(&[1_u32, 13, 15, 17])));
    }
    if random.once_in(20) {
        lines.push("no-readlink");
    }
}

/// What takes the last free descriptors, for after whatever needs one.
pub fn exhaust(random: &mut Random, lines: &mut Lines) {
    if random.once_in(15) {
        lines.push(format!("nofile {}", random.pick(&[60_u32, 64, 100])));
        lines.push("fill");
    }
}
