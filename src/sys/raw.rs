//! The instruction that enters the kernel.

use super::confined;

/// One system call of the guard's own; unused arguments are 0. EPERM where a filter that the program has loaded would end it
/// for that.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[inline(always)]
pub unsafe fn syscall(number: libc::c_long, args: [usize; 6]) -> isize {
    // SAFETY: as the caller promises.
    unsafe {
        if confined::is_any() {
            let [a, b, c, d, e, f] = args;
            // As registers, which costs those nothing that go on below.
            return confined::enter(a, b, c, d, e, f, number);
        }
        enter(number, args)
    }
}

/// One system call that is the program's own, or that ends it; unused arguments are 0.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn enter(number: libc::c_long, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; what the call does is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// One system call that is the program's own, or that ends it; unused arguments are 0.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[cfg(target_arch = "aarch64")]
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

/// valgrind's numbers for a stack that a program makes for itself, and gives up (valgrind.h).
pub const STACK: usize = 0x1501;
pub const STACK_GONE: usize = 0x1502;
/// The same for memory of which it is to forget who has touched it (helgrind.h).
pub const CLEAN: usize = 0x4847_0000;

/// Tells valgrind, and gives what it answers; 0 without it: to a processor the instructions do nothing. Untold, it takes a change to
/// a stack nearby for a very large frame, and what lies between for undefined.
pub fn tell_valgrind(what: usize, first: usize, second: usize) -> usize {
    let (told, mut answer) = ([what, first, second, 0, 0, 0], 0_usize);
    // SAFETY: the register is turned by 128 bits, so that it is what it was; valgrind reads the words.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") told.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
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
