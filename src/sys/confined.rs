//! The seccomp filters that the program itself has loaded. What they end the program for, the guard does not call.
//!
//! Each filter is kept as the program gave it, and asked before every system call of the guard's own ([`super::raw`]): where it
//! would end the thread or the process, or send it SIGSYS, the call fails here as under a filter that gives EPERM, and what
//! hangs on it is unknown. What the guard calls on the program's behalf is the program's own and is not asked about.
//!
//! A filter is the thread's that loads it, that of the processes that it forks, and of all threads once it makes another thread.
//!
//! Filters that the program had when it began are not known, nor those that it loads past libc.

use super::arch::AUDIT;
use crate::sys::{Plain, Reader};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// BPF_MAXINSNS: the kernel takes no longer program.
const LONGEST: usize = 4096;
const WORDS: usize = 16;
/// What the strict mode lets.
const STRICT: [libc::c_long; 4] = [libc::SYS_read, libc::SYS_write, libc::SYS_exit, libc::SYS_rt_sigreturn];

/// What the guard calls only where it may also call what undoes it.
const UNDONE: [(libc::c_long, libc::c_long); 7] = [
    (libc::SYS_openat, libc::SYS_close),
    (libc::SYS_socket, libc::SYS_close),
    (libc::SYS_accept4, libc::SYS_close),
    (libc::SYS_fcntl, libc::SYS_close),
    (libc::SYS_mmap, libc::SYS_munmap),
    (libc::SYS_clone, libc::SYS_wait4),
    (libc::SYS_clone, libc::SYS_exit_group),
];

/// An instruction: `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

// SAFETY: numbers.
unsafe impl Plain for Instruction {}

/// A filter in a mapping of its own, which stays for ever; its program lies behind it.
struct Filter {
    next: AtomicPtr<Filter>,
    /// False where the kernel did not take it.
    holds: AtomicBool,
    /// The one thread that has loaded it; 0 where others have it, too. What that forks has the same name.
    thread: AtomicUsize,
    /// That thread's number.
    tid: u32,
    is_strict: bool,
    len: usize,
}

static FIRST: AtomicPtr<Filter> = AtomicPtr::new(core::ptr::null_mut());
/// Whether the program has loaded a filter.
static ANY: AtomicBool = AtomicBool::new(false);
/// There was no memory for a filter: nothing is called any more.
static UNKNOWN: AtomicBool = AtomicBool::new(false);

/// Whether the program has loaded a filter.
#[inline(always)]
pub fn is_any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Whether the program's filters let a call of the guard's own.
#[inline]
pub fn lets(number: libc::c_long, args: [usize; 6]) -> bool {
    !is_any() || asked(number, &args)
}

/// A call of the guard's own, where the program has loaded a filter.
///
/// # Safety
/// As the system call's.
#[cold]
#[inline(never)]
pub(super) unsafe extern "C" fn enter(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    number: libc::c_long,
) -> isize {
    let args = [a, b, c, d, e, f];
    let is_undone = |(does, undoes): &(libc::c_long, libc::c_long)| *does != number || asked(*undoes, &[0; 6]);
    if !asked(number, &args) || !UNDONE.iter().all(is_undone) {
        return -(libc::EPERM as isize);
    }
    // SAFETY: as the caller promises.
    unsafe { super::raw::enter(number, args) }
}

fn asked(number: libc::c_long, args: &[usize; 6]) -> bool {
    if UNKNOWN.load(Ordering::Relaxed) {
        return false;
    }
    let own = this_thread();
    let forbids = |filter: &Filter| filter.is_of(own) && !filter.lets(number, args);
    !each(FIRST.load(Ordering::Acquire)).any(forbids)
}

/// The filters from one on, the newest first.
fn each(first: *mut Filter) -> impl Iterator<Item = &'static Filter> {
    let mut at = first;
    core::iter::from_fn(move || {
        // SAFETY: null, or a filter, which stays for ever.
        let filter = unsafe { at.as_ref() }?;
        at = filter.next.load(Ordering::Acquire);
        Some(filter)
    })
}

/// The calling thread, as libc names it, without a system call.
fn this_thread() -> usize {
    // SAFETY: asks for nothing.
    unsafe { libc::pthread_self() as usize }
}

/// What this thread has loaded others have from now on.
fn share() {
    let own = this_thread();
    let is_own = |filter: &&Filter| filter.thread.load(Ordering::Relaxed) == own;
    each(FIRST.load(Ordering::Acquire)).filter(is_own).for_each(|filter| filter.thread.store(0, Ordering::Relaxed));
}

/// Notes that this thread is about to make another, which has its filters.
#[inline]
pub fn share_with_new() {
    if is_any() {
        share();
    }
}

/// Forgets the filters of threads that are not there any more, of this process: a new one may get the name of one of them.
#[cold]
fn forget_ended() {
    let pid = super::getpid() as usize;
    let has_ended = |filter: &&Filter| {
        let args = [pid, filter.tid as usize, 0, 0, 0, 0];
        filter.thread.load(Ordering::Relaxed) != 0
            // SAFETY: sends no signal.
            && unsafe { super::raw::syscall(libc::SYS_tgkill, args) } == -(libc::ESRCH as isize)
    };
    let ended = each(FIRST.load(Ordering::Acquire)).filter(has_ended);
    ended.for_each(|filter| filter.holds.store(false, Ordering::Relaxed));
}

/// Calls `make`, which makes a thread and gives its name. Who had that name before has ended, and with it what it had loaded.
pub fn making_thread<R>(make: impl FnOnce() -> (R, Option<usize>)) -> R {
    if is_any() {
        share();
        forget_ended();
    }
    let before = FIRST.load(Ordering::Acquire);
    let (done, name) = make();
    if let Some(name) = name.filter(|name| *name != 0) {
        let ended = |filter: &&Filter| filter.thread.load(Ordering::Relaxed) == name;
        each(before).filter(ended).for_each(|filter| filter.holds.store(false, Ordering::Relaxed));
    }
    done
}

/// For which threads a filter is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    This,
    /// With all that this one has loaded (SECCOMP_FILTER_FLAG_TSYNC).
    All,
}

/// Keeps a filter that the program is about to load, calls `load`, and forgets the filter where that says no.
pub fn loading(strict: bool, program: usize, threads: For, load: impl FnOnce() -> bool) {
    let kept = keep(strict, program);
    let is_loaded = load();
    if is_loaded && threads == For::All {
        share();
    }
    match kept {
        // SAFETY: a filter, which stays for ever.
        Ok(at) => unsafe { &*at }.holds.store(is_loaded, Ordering::Relaxed),
        Err(Unkept::Fault) => {}
        Err(Unkept::NoMemory) if is_loaded => {
            UNKNOWN.store(true, Ordering::Relaxed);
            ANY.store(true, Ordering::Release);
        }
        Err(Unkept::NoMemory) => {}
    }
}

/// Why a filter is not kept.
enum Unkept {
    /// The kernel does not take it either.
    Fault,
    NoMemory,
}

/// `program` is the address of a `struct sock_fprog`.
fn keep(is_strict: bool, program: usize) -> Result<*mut Filter, Unkept> {
    let reader = Reader::default();
    let (mut len, mut from) = (0, core::ptr::null::<Instruction>());
    if !is_strict {
        len = usize::from(reader.value(program as *const u16).ok_or(Unkept::Fault)?);
        from = reader.pointer(program as *const *const u8, 1).ok_or(Unkept::Fault)?.cast();
        if !(1..=LONGEST).contains(&len) {
            return Err(Unkept::Fault);
        }
    }
    let size = len.wrapping_mul(size_of::<Instruction>()).wrapping_add(size_of::<Filter>());
    let at = super::allocate(size).ok_or(Unkept::NoMemory)?.cast::<Filter>();
    let filter = Filter {
        next: AtomicPtr::default(),
        holds: AtomicBool::new(true),
        thread: AtomicUsize::new(this_thread()),
        tid: super::gettid(),
        is_strict,
        len,
    };
    // SAFETY: a mapping of that size, which nobody else has.
    unsafe { at.write(filter) };
    let to = at.wrapping_add(1).cast::<Instruction>();
    for index in 0..len {
        let Some(instruction) = reader.value(from.wrapping_add(index)) else {
            super::munmap(at.cast(), size);
            return Err(Unkept::Fault);
        };
        // SAFETY: within the mapping.
        unsafe { to.wrapping_add(index).write(instruction) };
    }
    let mut first = FIRST.load(Ordering::Acquire);
    loop {
        // SAFETY: the filter that was written just now.
        unsafe { &*at }.next.store(first, Ordering::Relaxed);
        match FIRST.compare_exchange(first, at, Ordering::Release, Ordering::Acquire) {
            Ok(_) => {
                ANY.store(true, Ordering::Release);
                return Ok(at);
            }
            Err(other) => first = other,
        }
    }
}

impl Filter {
    fn is_of(&self, thread: usize) -> bool {
        let own = self.thread.load(Ordering::Relaxed);
        self.holds.load(Ordering::Relaxed) && (own == 0 || own == thread)
    }

    fn lets(&self, number: libc::c_long, args: &[usize; 6]) -> bool {
        if self.is_strict {
            return STRICT.contains(&number);
        }
        // SAFETY: so many instructions lie behind it, in its mapping.
        let program = unsafe { core::slice::from_raw_parts((&raw const *self).wrapping_add(1).cast(), self.len) };
        let mut data = [0_u32; 16];
        data[0] = number as u32;
        data[1] = AUDIT;
        // Somewhere in this library: who tells places apart means whole libraries.
        let place = enter as *const () as usize as u64;
        (data[2], data[3]) = (place as u32, (place >> 32) as u32);
        for (words, value) in data.chunks_exact_mut(2).skip(2).zip(args) {
            for (word, half) in words.iter_mut().zip([*value as u32, (*value as u64 >> 32) as u32]) {
                *word = half;
            }
        }
        run(program, &data).is_some_and(is_harmless)
    }
}

/// Whether a filter's answer leaves the program as it is: SECCOMP_RET_KILL_PROCESS, KILL_THREAD, TRAP and what is not known
/// (which kills) do not.
fn is_harmless(answer: u32) -> bool {
    const ERRNO: u32 = 0x0005_0000;
    const NOTIFY: u32 = 0x7fc0_0000;
    const TRACE: u32 = 0x7ff0_0000;
    const LOG: u32 = 0x7ffc_0000;
    const ALLOW: u32 = 0x7fff_0000;
    matches!(answer & 0xffff_0000, ERRNO | NOTIFY | TRACE | LOG | ALLOW)
}

/// What a program says of a call; `None` where the kernel would not take the program.
fn run(program: &[Instruction], data: &[u32; 16]) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; WORDS]);
    let mut at = 0_usize;
    // Jumps go forward only.
    while let Some(&Instruction { code, jt, jf, k }) = program.get(at) {
        at = at.wrapping_add(1);
        let operand = if code & 0x08 == 0 { k } else { x };
        match code {
            // BPF_LD | BPF_W | BPF_ABS
            0x20 if k % 4 == 0 => a = *data.get(k as usize / 4)?,
            // BPF_LEN: of struct seccomp_data.
            0x80 => a = 64,
            0x81 => x = 64,
            // BPF_IMM
            0x00 => a = k,
            0x01 => x = k,
            // BPF_MEM
            0x60 => a = *memory.get(k as usize)?,
            0x61 => x = *memory.get(k as usize)?,
            // BPF_ST, BPF_STX
            0x02 => *memory.get_mut(k as usize)? = a,
            0x03 => *memory.get_mut(k as usize)? = x,
            // BPF_ALU
            0x04 | 0x0c => a = a.wrapping_add(operand),
            0x14 | 0x1c => a = a.wrapping_sub(operand),
            0x24 | 0x2c => a = a.wrapping_mul(operand),
            0x34 | 0x3c => a = a.checked_div(operand)?,
            0x44 | 0x4c => a |= operand,
            0x54 | 0x5c => a &= operand,
            0xa4 | 0xac => a ^= operand,
            0x64 | 0x6c => a = a.wrapping_shl(operand),
            0x74 | 0x7c => a = a.wrapping_shr(operand),
            0x84 => a = a.wrapping_neg(),
            // BPF_MISC
            0x07 => x = a,
            0x87 => a = x,
            // BPF_JMP
            0x05 => at = at.wrapping_add(k as usize),
            0x15 | 0x1d => at = jump(at, a == operand, jt, jf),
            0x25 | 0x2d => at = jump(at, a > operand, jt, jf),
            0x35 | 0x3d => at = jump(at, a >= operand, jt, jf),
            0x45 | 0x4d => at = jump(at, a & operand != 0, jt, jf),
            // BPF_RET
            0x06 => return Some(k),
            0x16 => return Some(a),
            _ => return None,
        }
    }
    None
}

fn jump(at: usize, holds: bool, jt: u8, jf: u8) -> usize {
    at.wrapping_add(usize::from(if holds { jt } else { jf }))
}

/// Calls the kernel by the guard's own will, unless the program's filters end it for that.
///
/// # Safety
/// As the system call's.
pub(super) unsafe fn marked(number: libc::c_long, args: [usize; 5]) -> isize {
    let args = [args[0], args[1], args[2], args[3], args[4], super::secret() as usize];
    // SAFETY: as the caller promises; none of these calls looks at a sixth argument.
    unsafe { super::raw::syscall(number, args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(program: &[(u16, u8, u8, u32)], number: u32, arguments: [u32; 2]) -> Option<u32> {
        let program: Vec<Instruction> =
            program.iter().map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k }).collect();
        let mut data = [0; 16];
        (data[0], data[1], data[4], data[5]) = (number, AUDIT, arguments[0], arguments[1]);
        run(&program, &data)
    }

    #[test]
    fn a_program_says_what_it_says_in_the_kernel() {
        let by_number = [(0x20, 0, 0, 0), (0x15, 0, 1, 42), (0x06, 0, 0, 0x7fff_0000), (0x06, 0, 0, 0x8000_0000)];
        assert_eq!(says(&by_number, 42, [0; 2]), Some(0x7fff_0000));
        assert_eq!(says(&by_number, 43, [0; 2]), Some(0x8000_0000));
        let by_argument = [
            (0x20, 0, 0, 16),
            (0x54, 0, 0, 3),
            (0x07, 0, 0, 0),
            (0x01, 0, 0, 2),
            (0x1d, 1, 0, 0),
            (0x06, 0, 0, 0),
            (0x06, 0, 0, 0x7fff_0000),
        ];
        assert_eq!(says(&by_argument, 1, [6, 0]), Some(0x7fff_0000));
        assert_eq!(says(&by_argument, 1, [5, 0]), Some(0));
        let by_memory = [(0x20, 0, 0, 20), (0x02, 0, 0, 15), (0x00, 0, 0, 1), (0x60, 0, 0, 15), (0x16, 0, 0, 0)];
        assert_eq!(says(&by_memory, 1, [0, 77]), Some(77));
    }

    #[test]
    fn a_program_that_the_kernel_does_not_take_says_nothing() {
        assert_eq!(says(&[(0x20, 0, 0, 6), (0x16, 0, 0, 0)], 1, [0; 2]), None);
        assert_eq!(says(&[(0x20, 0, 0, 64), (0x16, 0, 0, 0)], 1, [0; 2]), None);
        assert_eq!(says(&[(0x05, 0, 0, u32::MAX)], 1, [0; 2]), None);
        assert_eq!(says(&[(0x60, 0, 0, 16)], 1, [0; 2]), None);
        assert_eq!(says(&[(0x34, 0, 0, 0)], 1, [0; 2]), None);
        assert_eq!(says(&[(0xff, 0, 0, 0)], 1, [0; 2]), None);
        assert!(!is_harmless(0) && !is_harmless(0x0003_0000) && !is_harmless(0x8000_0000) && is_harmless(0x0005_0001));
    }
}
