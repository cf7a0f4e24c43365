//! The backstop's filter: which calls are the backstop's because they did not come through the hooks.
//!
//! seccompiler writes the part for the native calls. What it lacks is put around it: another architecture is looked at
//! rather than killed, x32 is looked at, and the numbers that only the guard knows are placeholders
//! (`portcullis_policy::format::placeholder`).

use portcullis_policy::format::{Instruction, placeholder, room};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
/// Instructions (linux/bpf_common.h): load a word, mask it, compare it, return.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
/// landlock_restrict_self, on every architecture: a supervisor is told of it, and it goes on.
const RESTRICT_SELF: u32 = 446;
/// The instructions with which seccompiler begins: a look at the architecture that kills.
const ARCHITECTURE_CHECK: usize = 3;

/// The native calls, by number, and what makes one of them the backstop's.
struct Calls {
    architecture: TargetArch,
    audit: u32,
    /// Carry the secret in their sixth argument.
    by_secret: &'static [i64],
    /// sendto, whose six arguments are all used: with an address it is the backstop's.
    sendto: i64,
    /// setsockopt and getsockopt, with the options by which a socket goes elsewhere than its address says.
    options: [(i64, &'static [Level]); 2],
    /// execve and execveat with the place of their environment.
    by_room: [(i64, u8); 2],
    /// The other architecture that the kernel runs.
    other: Other,
}

/// A level of socket options, those of it that are the backstop's, and one that is where it is longer than so many bytes.
struct Level {
    number: u32,
    options: &'static [u32],
    longer: Option<(u32, u32)>,
}

/// As src/judge/route.rs has them: IP_OPTIONS; IPV6_RTHDR, IPV6_2292RTHDR, IPV6_2292PKTOPTIONS, and IPV6_FLOWLABEL_MGR with options
/// behind its request; SCTP_SOCKOPT_CONNECTX and its older form.
const SET: &[Level] = &[
    Level { number: 0, options: &[4], longer: None },
    Level { number: 41, options: &[57, 5, 6], longer: Some((32, 32)) },
    Level { number: 132, options: &[107, 110], longer: None },
];
/// SCTP_SOCKOPT_CONNECTX3.
const ASKED: &[Level] = &[Level { number: 132, options: &[111], longer: None }];

/// Another architecture's calls.
struct Other {
    audit: u32,
    numbers: &'static [u32],
    /// socketcall, with the numbers of its functions.
    socketcall: Option<(u32, &'static [u32])>,
}

/// x86-64 and i386 (arch/x86/entry/syscalls in Linux): connect, sendmsg, bind, listen, sendmmsg, io_uring_setup; the
/// functions of socketcall are bind, connect, listen, sendto, setsockopt, getsockopt, sendmsg, sendmmsg.
#[cfg(target_arch = "x86_64")]
const CALLS: Calls = Calls {
    architecture: TargetArch::x86_64,
    audit: 0xc000_003e,
    by_secret: &[42, 46, 49, 50, 307, 425],
    sendto: 44,
    options: [(54, SET), (55, ASKED)],
    by_room: [(59, 2), (322, 3)],
    other: Other {
        audit: 0x4000_0003,
        numbers: &[11, 345, 358, 361, 362, 363, 365, 366, 369, 370, 425],
        socketcall: Some((102, &[2, 3, 4, 11, 14, 15, 16, 20])),
    },
};

/// AArch64 (include/uapi/asm-generic/unistd.h) and 32-bit ARM (arch/arm/tools/syscall.tbl).
#[cfg(target_arch = "aarch64")]
const CALLS: Calls = Calls {
    architecture: TargetArch::aarch64,
    audit: 0xc000_00b7,
    by_secret: &[203, 211, 200, 201, 269, 425],
    sendto: 206,
    options: [(208, SET), (209, ASKED)],
    by_room: [(221, 2), (281, 3)],
    other: Other {
        audit: 0x4000_0028,
        numbers: &[11, 282, 283, 284, 290, 294, 295, 296, 374, 387, 425],
        socketcall: None,
    },
};

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn condition(argument: u8, operation: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operation, value)
        .unwrap_or_else(|error| unreachable!("a system call has six arguments: {error}"))
}

fn rule(conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions).unwrap_or_else(|error| unreachable!("there are conditions: {error}"))
}

/// The native part, as seccompiler writes it.
fn native() -> BpfProgram {
    let no_secret = || condition(5, SeccompCmpOp::Ne, whole(placeholder::SECRET));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for number in CALLS.by_secret {
        rules.insert(*number, vec![rule(vec![no_secret()])]);
    }
    rules.insert(CALLS.sendto, vec![rule(vec![condition(4, SeccompCmpOp::Ne, 0)])]);
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Log, CALLS.architecture)
        .and_then(BpfProgram::try_from)
        .unwrap_or_else(|error| unreachable!("a fixed filter: {error}"))
}

/// The calls that execute a program: allowed with the secret, or with their environment in the room. seccompiler has no
/// condition for an argument that differs from a value under a mask.
fn programs(one: impl Fn(u16, u8, u8, u32) -> Instruction) -> Vec<Instruction> {
    let mut out = Vec::new();
    for (number, environment) in CALLS.by_room {
        let room = placeholder::ROOM;
        let mut block = with_secret(&one);
        for (half, mask) in [(0, room::MASK as u32), (1, (room::MASK >> 32) as u32)] {
            block.push(one(LOAD, 0, 0, argument(environment) + 4 * half));
            block.push(one(AND, 0, 0, mask));
            block.push(one(JUMP_EQUAL, 1, 0, room[half as usize]));
            block.push(one(RETURN, 0, 0, placeholder::ACTION));
        }
        block.push(one(RETURN, 0, 0, ALLOW));
        out.push(one(LOAD, 0, 0, NUMBER));
        out.push(one(JUMP_EQUAL, 0, block.len() as u8, number as u32));
        out.extend(block);
    }
    out
}

fn argument(argument: u8) -> u32 {
    FIRST_ARGUMENT + 8 * u32::from(argument)
}

/// Allows a call that carries the secret.
fn with_secret(one: impl Fn(u16, u8, u8, u32) -> Instruction) -> Vec<Instruction> {
    let secret = placeholder::SECRET;
    vec![
        one(LOAD, 0, 0, argument(5)),
        one(JUMP_EQUAL, 0, 3, secret[0]),
        one(LOAD, 0, 0, argument(5) + 4),
        one(JUMP_EQUAL, 0, 1, secret[1]),
        one(RETURN, 0, 0, ALLOW),
    ]
}

/// The socket options: allowed with the secret. The kernel takes 32 bits of each argument.
fn options(one: impl Fn(u16, u8, u8, u32) -> Instruction) -> Vec<Instruction> {
    let mut out = Vec::new();
    for (number, levels) in CALLS.options {
        let mut block = with_secret(&one);
        for level in levels {
            let mut inner = vec![one(LOAD, 0, 0, argument(2))];
            for option in level.options {
                inner.push(one(JUMP_EQUAL, 0, 1, *option));
                inner.push(one(RETURN, 0, 0, placeholder::ACTION));
            }
            if let Some((option, bytes)) = level.longer {
                inner.push(one(JUMP_EQUAL, 0, 3, option));
                inner.push(one(LOAD, 0, 0, argument(4)));
                inner.push(one(JUMP_GREATER, 0, 1, bytes));
                inner.push(one(RETURN, 0, 0, placeholder::ACTION));
            }
            inner.push(one(RETURN, 0, 0, ALLOW));
            block.push(one(LOAD, 0, 0, argument(1)));
            block.push(one(JUMP_EQUAL, 0, inner.len() as u8, level.number));
            block.extend(inner);
        }
        block.push(one(RETURN, 0, 0, ALLOW));
        out.push(one(LOAD, 0, 0, NUMBER));
        out.push(one(JUMP_EQUAL, 0, block.len() as u8, number as u32));
        out.extend(block);
    }
    out
}

/// The whole filter.
pub(super) fn program() -> Vec<Instruction> {
    let one = |code, jt, jf, k: u32| Instruction { code: u16::into(code), jt, jf, k: k.into() };
    let mut other = Vec::new();
    let decided = |out: &mut Vec<Instruction>, numbers: &[u32]| {
        for number in numbers {
            out.push(one(JUMP_EQUAL, 0, 1, *number));
            out.push(one(RETURN, 0, 0, placeholder::ACTION));
        }
        out.push(one(RETURN, 0, 0, ALLOW));
    };
    other.push(one(JUMP_EQUAL, 1, 0, CALLS.other.audit));
    // An architecture that is neither.
    other.push(one(RETURN, 0, 0, placeholder::ACTION));
    other.push(one(LOAD, 0, 0, NUMBER));
    if let Some((number, functions)) = CALLS.other.socketcall {
        let mut inner = vec![one(LOAD, 0, 0, FIRST_ARGUMENT)];
        decided(&mut inner, functions);
        other.push(one(JUMP_EQUAL, 0, inner.len() as u8, number));
        other.extend(inner);
    }
    other.push(one(JUMP_EQUAL, 0, 1, RESTRICT_SELF));
    other.push(one(RETURN, 0, 0, placeholder::NOTE));
    decided(&mut other, CALLS.other.numbers);

    let mut out = vec![one(LOAD, 0, 0, ARCHITECTURE)];
    out.push(one(JUMP_EQUAL, other.len() as u8, 0, CALLS.audit));
    out.extend(other);
    if cfg!(target_arch = "x86_64") {
        // x32's calls have this bit (arch/x86/include/uapi/asm/unistd.h).
        out.push(one(LOAD, 0, 0, NUMBER));
        out.push(one(JUMP_GREATER_EQUAL, 0, 1, 0x4000_0000));
        out.push(one(RETURN, 0, 0, placeholder::ACTION));
    }
    out.push(one(LOAD, 0, 0, NUMBER));
    out.push(one(JUMP_EQUAL, 0, 1, RESTRICT_SELF));
    out.push(one(RETURN, 0, 0, placeholder::NOTE));
    out.extend(programs(one));
    out.extend(options(one));
    let native = native();
    out.extend(native.iter().skip(ARCHITECTURE_CHECK).map(|from| one(from.code, from.jt, from.jf, from.k)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a call: a small interpreter of the instructions that it is made of.
    fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = number.to_le_bytes().to_vec();
        data.extend(architecture.to_le_bytes());
        data.extend(0_u64.to_le_bytes());
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let instruction = program[at];
            let k = instruction.k.get();
            let mut jump = |holds: bool| {
                at += usize::from(if holds { instruction.jt } else { instruction.jf });
            };
            match instruction.code.get() {
                LOAD => accumulator = u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().expect("a word")),
                JUMP_EQUAL => jump(accumulator == k),
                JUMP_GREATER_EQUAL => jump(accumulator >= k),
                JUMP_GREATER => jump(accumulator > k),
                0x05 => at += k as usize,
                0x54 => accumulator &= k,
                RETURN => return k,
                code => panic!("an instruction that is not expected: {code:#x}"),
            }
            at += 1;
        }
    }

    #[test]
    fn what_came_through_the_hooks_passes_and_nothing_else_that_matters() {
        let program = program();
        let native = |number: i64, arguments| run(&program, CALLS.audit, number as u32, arguments) == ALLOW;
        let secret = whole(placeholder::SECRET);
        let place = whole(placeholder::ROOM);
        assert_eq!(place & room::MASK, place, "the placeholder is an address that the mask leaves whole");
        let last = place + (room::STRIDE * (room::PLACES - 1)) as u64;
        for number in CALLS.by_secret {
            assert!(native(*number, [3, 1, 16, 0, 0, secret]));
            for wrong in [0, secret + 1, secret ^ (1 << 40), u64::MAX] {
                assert!(!native(*number, [3, 1, 16, 0, 0, wrong]), "{number}");
            }
        }
        assert!(program.len() <= 320, "{} instructions: src/backstop/filter.rs has room for 320", program.len());
        assert!(native(CALLS.sendto, [3, 1, 16, 0, 0, 0]));
        assert!(!native(CALLS.sendto, [3, 1, 16, 0, 1, 16]));
        assert!(!native(CALLS.sendto, [3, 1, 16, 0, 1 << 40, 16]));
        for (number, environment) in CALLS.by_room {
            let mut arguments = [1, 1, 1, 1, 0, 0];
            let behind = last + room::STRIDE as u64;
            for (at, passes) in
                [(place, true), (last, true), (behind, false), (place + 8, false), (place - 1, false), (1, false)]
            {
                arguments[usize::from(environment)] = at;
                assert_eq!(native(number, arguments), passes, "{number} {at:#x}");
                assert!(native(number, [arguments[0], arguments[1], arguments[2], arguments[3], 0, secret]));
            }
        }
        for (call, level, option, len, passes) in [
            (0, 41, 57, 24, false),
            (0, 41, 5, 24, false),
            (0, 41, 32, 33, false),
            (0, 41, 32, 32, true),
            (0, 41, 26, 4, true),
            (0, 0, 4, 8, false),
            (0, 0, 1, 4, true),
            (0, 132, 110, 16, false),
            (0, 6, 57, 4, true),
            (1, 132, 111, 0, false),
            (1, 41, 57, 24, true),
        ] {
            let (number, _) = CALLS.options[call];
            // The upper halves are not looked at by the kernel.
            assert_eq!(native(number, [3, 7 << 32 | level, option, 1, len, 0]), passes, "{call} {level} {option}");
            assert!(native(number, [3, level, option, 1, len, secret]));
        }
        assert_eq!(run(&program, CALLS.audit, RESTRICT_SELF, [0; 6]), placeholder::NOTE);
        assert_eq!(run(&program, CALLS.other.audit, RESTRICT_SELF, [0; 6]), placeholder::NOTE);
        // read, write, openat, close: nobody's business.
        for number in [0, 1, 257, 3, 56, 63, 64] {
            if !CALLS.by_secret.contains(&number) {
                assert!(native(number, [0; 6]), "{number}");
            }
        }
    }

    #[test]
    fn other_architectures_are_looked_at() {
        let program = program();
        let other = |number, first| run(&program, CALLS.other.audit, number, [first, 0, 0, 0, 0, 0]) == ALLOW;
        for number in CALLS.other.numbers {
            assert!(!other(*number, 0));
        }
        assert!(other(4, 0));
        if let Some((number, functions)) = CALLS.other.socketcall {
            assert!(functions.iter().all(|function| !other(number, u64::from(*function))));
            assert!(other(number, 1) && other(number, 10));
        }
        assert_ne!(run(&program, 0x1234, 1, [0; 6]), ALLOW);
        if cfg!(target_arch = "x86_64") {
            assert_ne!(run(&program, CALLS.audit, 0x4000_002a, [0; 6]), ALLOW);
        }
    }
}
