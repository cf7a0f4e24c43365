//! Makes the filter for seccomp(2) from the lists of calls.

use super::calls::{ANY, APPENDED, EXECUTED, NEVER, ONLY, OPENED};
use crate::backstop::supervisor::call::NATIVE;
use crate::sys;
use crate::sys::broker::CHANNEL;
use portcullis_policy::format::Instruction;

/// The length of the longest filter.
pub const LENGTH: usize = length(&ANY, &ONLY) + 9;

pub const fn length(any: &[libc::c_long], only: &[(libc::c_long, u8, u32, u32)]) -> usize {
    4 + 2 * NEVER.len() + 2 * any.len() + 6 * only.len() + 7 + 1
}

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
/// Every other call fails with ENOSYS.
const OTHER: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// The filter (linux/seccomp.h, linux/bpf_common.h).
pub struct Filter {
    program: [Instruction; LENGTH],
    pub len: usize,
}

impl Filter {
    /// Loads it for good; true if it was loaded.
    pub fn load_it(&self) -> bool {
        sys::seccomp(self.program.get(..self.len).unwrap_or_default(), 0).is_ok()
    }

    fn push(&mut self, code: u16, [jt, jf]: [u8; 2], k: u32) {
        if let Some(place) = self.program.get_mut(self.len) {
            *place = Instruction { code: code.into(), jt, jf, k: k.into() };
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Loads four bytes of `struct seccomp_data`.
    fn load(&mut self, at: u32) {
        self.push(0x20, [0; 2], at);
    }

    /// Skips instructions: the first number where what was loaded is this, else the second.
    fn skip(&mut self, k: u32, skipped: [u8; 2]) {
        self.push(0x15, skipped, k);
    }

    fn answer(&mut self, action: u32) {
        self.push(0x06, [0; 2], action);
    }

    /// The broker's and the keeper's, in which the judge's is as well.
    pub fn new() -> Filter {
        Filter::of(&ANY, &ONLY, true)
    }

    pub fn of(any: &[libc::c_long], only: &[(libc::c_long, u8, u32, u32)], is_brokers: bool) -> Filter {
        const NUMBER: u32 = 0;
        const ARCHITECTURE: u32 = 4;
        const AND: u16 = 0x54;
        let argument = |index: u8| u32::from(index).wrapping_mul(8).wrapping_add(16);
        let nothing = Instruction { code: 0.into(), jt: 0, jf: 0, k: 0.into() };
        let mut filter = Filter { program: [nothing; LENGTH], len: 0 };
        filter.load(ARCHITECTURE);
        // Another one has other numbers.
        filter.skip(NATIVE, [1, 0]);
        filter.answer(KILL);
        filter.load(NUMBER);
        for (numbers, action) in [(&NEVER[..], KILL), (any, ALLOW)] {
            for number in numbers {
                filter.skip(*number as u32, [0, 1]);
                filter.answer(action);
            }
        }
        for (number, index, mask, value) in only {
            filter.load(NUMBER);
            filter.skip(*number as u32, [0, 4]);
            filter.load(argument(*index));
            filter.push(AND, [0; 2], *mask);
            filter.skip(*value, [0, 1]);
            filter.answer(ALLOW);
        }
        if is_brokers {
            // A sink is made where it is not there.
            filter.load(NUMBER);
            filter.skip(libc::SYS_openat as u32, [0, 7]);
            filter.load(argument(2));
            filter.push(AND, [0; 2], OPENED);
            filter.skip(APPENDED | libc::O_CREAT as u32, [0, 4]);
            filter.load(argument(3));
            filter.push(AND, [0; 2], EXECUTED);
            filter.skip(0, [0, 1]);
            filter.answer(ALLOW);
        } else {
            filter.load(NUMBER);
            filter.skip(libc::SYS_close as u32, [0, 3]);
            filter.load(argument(0));
            filter.skip(CHANNEL as u32, [1, 0]);
            filter.answer(ALLOW);
        }
        // How it opens a file is in memory: in that which is only read.
        let how = sys::AS_LINK.as_ptr() as u64;
        filter.load(NUMBER);
        filter.skip(sys::OPENAT2 as u32, [0, 5]);
        filter.load(argument(2));
        filter.skip(how as u32, [0, 3]);
        filter.load(argument(2).wrapping_add(4));
        filter.skip((how >> 32) as u32, [0, 1]);
        filter.answer(ALLOW);
        filter.answer(OTHER);
        filter
    }
}
