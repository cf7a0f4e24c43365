//! Who does it: a process and its parent.

use super::{NAME_MAX, PATH_MAX, member};
use crate::{Json, Process, field, name};

const ARG_MAX: usize = 256;
/// All arguments of one process together.
const ARGS_MAX: usize = 1600;

#[inline(never)]
pub(super) fn process(json: &mut Json<'_>, process: &Process<'_>, parent: Option<&Process<'_>>) {
    json.open(b'{');
    if process.pid != 0 {
        json.key(field::PROCESS_PID.key);
        json.number(u64::from(process.pid));
    }
    for (key, value, max) in [
        (field::PROCESS_NAME.key, process.name, NAME_MAX),
        (field::PROCESS_EXECUTABLE.key, process.executable, PATH_MAX),
        (field::PROCESS_WORKING_DIRECTORY.key, process.working_directory, PATH_MAX),
    ] {
        if !value.is_empty() {
            member(json, key, value, max);
        }
    }
    if process.args_count > 0 {
        json.key(field::PROCESS_ARGS_COUNT.key);
        json.number(u64::from(process.args_count));
        json.key(field::PROCESS_ARGS.key);
        json.open(b'[');
        let mut left = if parent.is_some() { ARGS_MAX } else { ARGS_MAX / 4 };
        for argument in process.args {
            // An argument takes at least its ellipsis.
            let max = if left < ARG_MAX { left } else { ARG_MAX };
            if max < 8 {
                break;
            }
            json.string(argument, max);
            left = left.saturating_sub(argument.len().max(8));
        }
        json.close(b']');
        json.key(field::PROCESS_COMMAND_LINE.key);
        json.open(b'"');
        let mut left = if parent.is_some() { ARGS_MAX / 2 } else { ARGS_MAX / 4 };
        for (index, argument) in process.args.iter().enumerate() {
            if left == 0 {
                break;
            }
            if index > 0 {
                left = json.text(b" ", left);
            }
            left = json.text(argument, left);
        }
        json.close(b'"');
    }
    // Of one outside of the PID namespace nothing is known.
    if let Some(parent) = parent.filter(|parent| parent.pid != 0 || !parent.name.is_empty()) {
        json.key(name!("parent"));
        self::process(json, parent, None);
    }
    json.close(b'}');
}
