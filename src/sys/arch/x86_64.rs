//! x86_64: the instructions and the numbers that are this processor's.

use core::ffi::{CStr, c_long, c_void};

/// As the kernel's audit has it (AUDIT_ARCH_X86_64).
pub const AUDIT: u32 = 0xc000_003e;
/// The other architecture whose calls the supervisor understands, whose programs run here as well (AUDIT_ARCH_I386).
pub const AUDIT_COMPATIBLE: Option<u32> = Some(0x4000_0003);
/// The machine of an ELF file, and that of the 32-bit programs that run here as well: EM_X86_64, EM_386.
pub const MACHINE: u16 = 62;
pub const MACHINE_COMPATIBLE: u16 = 3;
/// The size of the largest page that a kernel of this processor works with, in bytes.
pub const PAGE_MAX: usize = 1 << 12;

/// What begins a page, however large that is.
#[repr(C, align(0x1000))]
pub struct PageAligned<T>(pub T);

const _: () = assert!(align_of::<PageAligned<u8>>() == PAGE_MAX);

/// The size of this kernel's pages, in bytes.
pub const fn page() -> usize {
    PAGE_MAX
}

/// The end of the addresses that every process has.
pub const ADDRESS_END: usize = 1 << 47;
/// The function of the kernel's object that reads the clock (vdso(7)).
pub const CLOCK: &CStr = c"__vdso_clock_gettime";
/// The bit of x32 in the number of a system call (arch/x86/include/uapi/asm/unistd.h).
pub const X32: i32 = 0x4000_0000;
/// System calls that newer architectures do not have.
pub const SYS_DUP2: c_long = libc::SYS_dup2;
pub const SYS_OPEN: c_long = libc::SYS_open;
pub const SYS_CREAT: c_long = libc::SYS_creat;
pub const SYS_FORK: c_long = libc::SYS_fork;

/// Relocations that point to a function.
pub mod relocation {
    pub const ABSOLUTE: u32 = 1;
    pub const GLOBAL_DATA: u32 = 6;
    pub const JUMP_SLOT: u32 = 7;
}

/// The instruction that enters the kernel: one system call; unused arguments are 0.
///
/// # Safety
/// What the call does with its arguments must be sound.
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

/// Tells valgrind, and gives what it answers; 0 without it: to a processor the instructions do nothing. Untold, it takes a change to
/// a stack nearby for a very large frame, and what lies between for undefined.
pub fn tell_valgrind(what: usize, first: usize, second: usize) -> usize {
    let (told, mut answer) = ([what, first, second, 0, 0, 0], 0_usize);
    // SAFETY: the register is turned by 128 bits, so that it is what it was; valgrind reads the words.
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
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "xor edi, edi",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags,
            in("rsi") stack,
            in("rdx") 0,
            in("r10") word,
            in("r8") 0,
            in("r12") work,
            in("r13") with,
            lateout("rcx") _,
            lateout("r11") _,
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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov qword ptr [rcx], rsp",
        "mov rsp, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
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
            "mov {at}, qword ptr fs:[0]",
            "add {at}, qword ptr [rip + portcullis_thread@GOTTPOFF]",
            at = out(reg) at,
            options(pure, readonly, nostack),
        );
    }
    at
}

/// The body of a naked function that goes on at `$to`, its arguments as they are.
macro_rules! jump {
    ($to:path) => {
        core::arch::naked_asm!("jmp {}", sym $to)
    };
}
pub(crate) use jump;

/// The body of a naked function that calls `$before` with its arguments, and then jumps to where that says, with the caller's registers
/// and stack as they were.
macro_rules! jump_where {
    ($before:path) => {
        core::arch::naked_asm!(
            "push rdi",
            "push rsi",
            "push rdx",
            "push rcx",
            "push r8",
            "push r9",
            "sub rsp, 8",
            "call {before}",
            "add rsp, 8",
            "pop r9",
            "pop r8",
            "pop rcx",
            "pop rdx",
            "pop rsi",
            "pop rdi",
            "jmp rax",
            before = sym $before,
        )
    };
}
pub(crate) use jump_where;

/// The same of up to three arguments; `$before` is told in a fourth one where the function returns to.
macro_rules! jump_where_by_caller {
    ($before:path) => {
        core::arch::naked_asm!(
            "mov rcx, [rsp]",
            "push rdi",
            "push rsi",
            "push rdx",
            "call {before}",
            "pop rdx",
            "pop rsi",
            "pop rdi",
            "jmp rax",
            before = sym $before,
        )
    };
}
pub(crate) use jump_where_by_caller;

/// The body of a naked function that goes on at `$enter` with `$number` and the address of `$hook`, in registers that no call uses.
macro_rules! enter_with {
    ($number:expr, $hook:path, $enter:path) => {
        core::arch::naked_asm!(
            "lea r10, [rip + {hook}]",
            "mov r11d, {row}",
            "jmp {enter}",
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
            "push rax",
            "mov rax, rsp",
            "shr rax, 4",
            "shl eax, 8",
            "or r11d, eax",
            "mov rax, qword ptr [rip + portcullis_thread@GOTTPOFF]",
            "mov dword ptr fs:[rax + {at}], r11d",
            "pop rax",
            "jmp r10",
            at = const $at,
        )
    };
}
pub(crate) use note_and_go_on;
