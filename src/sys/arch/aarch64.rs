//! aarch64 (ARMv8-A, 64 bits): the instructions and the numbers that are this processor's.

use core::ffi::{CStr, c_long, c_void};

/// As the kernel's audit has it (AUDIT_ARCH_AARCH64).
pub const AUDIT: u32 = 0xc000_00b7;
/// No other architecture's calls are understood by the supervisor.
pub const AUDIT_COMPATIBLE: Option<u32> = None;
/// The machine of an ELF file, and that of the 32-bit programs that may run here as well: EM_AARCH64, EM_ARM.
pub const MACHINE: u16 = 183;
pub const MACHINE_COMPATIBLE: u16 = 40;
/// The size of the largest page that a kernel of this processor works with, in bytes (arm64's CONFIG_PAGE_SHIFT: 12, 14 or 16).
pub const PAGE_MAX: usize = 1 << 16;

/// What begins a page, however large that is.
#[repr(C, align(0x10000))]
pub struct PageAligned<T>(pub T);

const _: () = assert!(align_of::<PageAligned<u8>>() == PAGE_MAX);

/// The size of this kernel's pages, in bytes.
pub fn page() -> usize {
    // SAFETY: it reads what the kernel has told the program, and may be called at any time.
    match unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize {
        page if page.is_power_of_two() => page,
        _ => PAGE_MAX,
    }
}

/// The end of the addresses that every process has.
pub const ADDRESS_END: usize = 1 << 48;
/// The function of the kernel's object that reads the clock (vdso(7)).
pub const CLOCK: &CStr = c"__kernel_clock_gettime";
/// There is no x32.
pub const X32: i32 = 0;
/// System calls that this architecture does not have: numbers that no call has.
pub const SYS_DUP2: c_long = -2;
pub const SYS_OPEN: c_long = -3;
pub const SYS_CREAT: c_long = -4;
pub const SYS_FORK: c_long = -5;

/// Relocations that point to a function.
pub mod relocation {
    pub const ABSOLUTE: u32 = 257;
    pub const GLOBAL_DATA: u32 = 1025;
    pub const JUMP_SLOT: u32 = 1026;
}

/// The instruction that enters the kernel: one system call; unused arguments are 0.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[inline(always)]
pub unsafe fn enter(number: libc::c_long, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel keeps all registers but x0; what the call does is the caller's promise.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
            options(nostack),
        );
    }
    result
}

/// Tells valgrind, and gives what it answers; 0 without it: to a processor the instructions do nothing. Untold, it takes a change to
/// a stack nearby for a very large frame, and what lies between for undefined.
pub fn tell_valgrind(what: usize, first: usize, second: usize) -> usize {
    let (told, mut answer) = ([what, first, second, 0, 0, 0], 0_usize);
    // SAFETY: the register is turned by 128 bits, so that it is what it was; valgrind reads the words.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") told.as_ptr(),
            inout("x3") answer,
            options(nostack),
        );
    }
    answer
}

/// clone(2): what calls a function on a stack, and ends; the kernel clears a word then, where the flags say so. Its number, or an
/// error.
///
/// # Safety
/// The stack must be good, and stay until the child has ended; the function must be made for such a child.
pub unsafe fn clone(
    flags: usize,
    stack: *mut c_void,
    word: usize,
    work: unsafe extern "C" fn(*mut c_void),
    with: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: as the caller promises; the child never comes back here.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "mov x0, xzr",
            "mov x8, {exit}",
            "svc 0",
            "brk 1",
            "2:",
            exit = const libc::SYS_exit,
            in("x8") libc::SYS_clone,
            inlateout("x0") flags as isize => result,
            in("x1") stack,
            in("x2") 0,
            in("x3") 0,
            in("x4") word,
            in("x20") work,
            in("x21") with,
            options(nostack),
        );
    }
    result
}

/// Calls a function on another stack, and writes down the stack pointer on this one.
///
/// # Safety
/// The stack must be good, and its end a multiple of 16.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(at: *mut c_void, work: unsafe extern "C" fn(*mut c_void), end: usize, own: *mut usize) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset w30, -8",
        ".cfi_offset w29, -16",
        "mov x29, sp",
        ".cfi_def_cfa w29, 16",
        "str x29, [x3]",
        "mov sp, x2",
        "blr x1",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        "ret",
        ".cfi_endproc",
    );
}

/// Where the thread-local variable `portcullis_thread` lies in the calling thread: the offset of an initial-exec variable from the
/// thread's pointer, which the loader wrote into the global offset table. It never changes in a thread.
#[inline(always)]
pub fn thread_variable() -> *mut c_void {
    let at: *mut c_void;
    // SAFETY: registers only, and a word of the global offset table.
    unsafe {
        core::arch::asm!(
            "mrs {at}, tpidr_el0",
            "adrp {offset}, :gottprel:portcullis_thread",
            "ldr {offset}, [{offset}, :gottprel_lo12:portcullis_thread]",
            "add {at}, {at}, {offset}",
            at = out(reg) at,
            offset = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    at
}

/// The body of a naked function that goes on at `$to`, its arguments as they are.
macro_rules! jump {
    ($to:path) => {
        core::arch::naked_asm!("b {}", sym $to)
    };
}
pub(crate) use jump;

/// The body of a naked function that calls `$before` with its arguments, and then jumps to where that says, with the caller's registers
/// and stack as they were.
macro_rules! jump_where {
    ($before:path) => {
        core::arch::naked_asm!(
            "stp x29, x30, [sp, #-80]!",
            "stp x0, x1, [sp, #16]",
            "stp x2, x3, [sp, #32]",
            "stp x4, x5, [sp, #48]",
            "str x6, [sp, #64]",
            "bl {before}",
            "mov x16, x0",
            "ldp x0, x1, [sp, #16]",
            "ldp x2, x3, [sp, #32]",
            "ldp x4, x5, [sp, #48]",
            "ldr x6, [sp, #64]",
            "ldp x29, x30, [sp], #80",
            "br x16",
            before = sym $before,
        )
    };
}
pub(crate) use jump_where;

/// The same of up to three arguments; `$before` is told in a fourth one where the function returns to.
macro_rules! jump_where_by_caller {
    ($before:path) => {
        core::arch::naked_asm!(
            "stp x29, x30, [sp, #-48]!",
            "stp x0, x1, [sp, #16]",
            "str x2, [sp, #32]",
            "mov x3, x30",
            "bl {before}",
            "mov x16, x0",
            "ldr x2, [sp, #32]",
            "ldp x0, x1, [sp, #16]",
            "ldp x29, x30, [sp], #48",
            "br x16",
            before = sym $before,
        )
    };
}
pub(crate) use jump_where_by_caller;

/// The body of a naked function that goes on at `$enter` with `$number` and the address of `$hook`, in registers that no call uses.
macro_rules! enter_with {
    ($number:expr, $hook:path, $enter:path) => {
        core::arch::naked_asm!(
            "adrp x16, {hook}",
            "add x16, x16, :lo12:{hook}",
            "mov w17, {row}",
            "b {enter}",
            row = const $number,
            hook = sym $hook,
            enter = sym $enter,
        )
    };
}
pub(crate) use enter_with;

/// The body of what [`enter_with`] goes on at: writes the number, and above it the sixteens of the stack pointer, to `$at` in the thread's
/// variable, and goes on at the hook; the caller's registers are as they were.
macro_rules! note_and_go_on {
    ($at:expr) => {
        core::arch::naked_asm!(
            "mov x9, sp",
            "lsr x9, x9, 4",
            "orr w17, w17, w9, lsl 8",
            "mrs x9, tpidr_el0",
            "adrp x10, :gottprel:portcullis_thread",
            "ldr x10, [x10, :gottprel_lo12:portcullis_thread]",
            "add x9, x9, x10",
            "str w17, [x9, {at}]",
            "br x16",
            at = const $at,
        )
    };
}
pub(crate) use note_and_go_on;
