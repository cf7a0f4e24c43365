//! The table of hooks: what is exported, with the C signature that the compiler holds against libc's declaration.
//!
//! Every row is a function that this library exports under libc's name. From it come the pointer to the function that
//! would have been called without the guard, the names that objects loaded with RTLD_DEEPBIND are searched for, and
//! the list that the tests hold the ELF file and docs/hooks.md against.

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

/// The rows: a family, the rules that it is for, the header that declares it and its C signature, then its name and its
/// Rust signature. `docs/hooks.md` is held against them, and the C signature against the header, by tests/library/table.rs;
/// the Rust one against the libc crate's, by the compiler, where that has the function (`checked`).
macro_rules! hooks {
    (
        checked { $([$($checked_note:tt)*] $name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        unchecked { $([$($unchecked_note:tt)*] $bare:ident: fn($($bare_arg:ty),*) -> $bare_result:ty;)* }
        through { $([$($via_note:tt)*] $via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $([$($variadic_note:tt)*] $variadic:ident;)* }
    ) => {
        $(const _: unsafe extern "C" fn($($arg),*) -> $result = libc::$name;)*
        hooks!(@table
            real { $($name: fn($($arg),*) -> $result;)* $($bare: fn($($bare_arg),*) -> $bare_result;)* }
            through { $($via: fn($($via_arg),*) -> $via_result;)* }
            variadic { $($variadic;)* }
        );
    };
    (
        @table
        real { $($name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        through { $($via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $($variadic:ident;)* }
    ) => {
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Row { $($name,)* }

        /// How many rows have a real function of their own.
        pub(super) const REALS: usize = [$(stringify!($name),)*].len();
        const ROWS: usize = REALS + [$(stringify!($via),)* $(stringify!($variadic),)*].len();

        pub(super) static NAMES: [Name; ROWS] = [
            $(Name::new(stringify!($name)),)*
            $(Name::new(stringify!($via)),)*
            $(Name::new(stringify!($variadic)),)*
        ];

        /// Address of the hook of a row.
        fn own(row: usize) -> *mut c_void {
            let hooks: [*mut c_void; ROWS] = [
                $({
                    let hook: unsafe extern "C" fn($($arg),*) -> $result = super::$name;
                    hook as *mut c_void
                },)*
                $({
                    let hook: unsafe extern "C" fn($($via_arg),*) -> $via_result = super::$via;
                    hook as *mut c_void
                },)*
                $(super::$variadic as *mut c_void,)*
            ];
            hooks.get(row).copied().unwrap_or(core::ptr::null_mut())
        }

        /// The same without a look for what was not found yet: for hooks that mostly have nothing to do.
        pub mod ready {
            use super::*;
            $(
                /// `None` also before its first call.
                #[allow(dead_code, reason = "few hooks are so")]
                #[inline(always)]
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::REAL.get(Row::$name as usize)?.load(Ordering::Acquire);
                    // SAFETY: as in `real`.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
        }

        /// The functions behind the hooks: libc's, or those of the next preload.
        pub mod real {
            use super::*;
            $(
                /// `None` where libc has no such function, or in another thread while the constructor runs.
                #[inline]
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::real(Row::$name);
                    // SAFETY: null is `None`; else dlsym gave the address under this name, and the signature is the
                    // one that the header declares for it.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
            /// The real syscall(2), which is variadic: only jumped to.
            #[inline]
            pub fn syscall() -> Option<*const c_void> {
                let at = super::found(super::SYSCALL);
                (!at.is_null()).then_some(at.cast_const())
            }

            /// The real clone(2), which is variadic, and whose child leaves its stack: only jumped to.
            #[inline]
            pub fn clone() -> Option<*const c_void> {
                let at = super::found(super::CLONE);
                (!at.is_null()).then_some(at.cast_const())
            }

            /// fclose(3), for a stream that a hook has opened.
            #[inline]
            pub fn fclose() -> Option<unsafe extern "C" fn(*mut libc::FILE) -> c_int> {
                let at = super::found(super::FCLOSE);
                // SAFETY: null is `None`; else it is libc's fclose, or that of the next preload.
                unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn(*mut libc::FILE) -> c_int>>(at) }
            }

            /// The real dlsym: only jumped to, since RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
            #[inline]
            pub fn dlsym() -> Option<crate::hooks::find::Dlsym> {
                let at = super::found(super::DLSYM);
                // SAFETY: null is `None`; else it is libc's dlsym, or that of the next preload.
                unsafe { core::mem::transmute::<*mut c_void, Option<crate::hooks::find::Dlsym>>(at) }
            }
        }
    };
}

type Hosts = *mut super::Hostent;
type Answer = *mut core::ffi::c_uchar;

hooks! {
    // Called where the guard lets a call go ahead.
    checked {
        [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, const struct sockaddr *, socklen_t)"]
        connect: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "ssize_t (int, const void *, size_t, int, const struct sockaddr *, socklen_t)"]
        sendto: fn(c_int, *const c_void, libc::size_t, c_int, *const libc::sockaddr, libc::socklen_t) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "ssize_t (int, const struct msghdr *, int)"]
        sendmsg: fn(c_int, *const libc::msghdr, c_int) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, struct mmsghdr *, unsigned int, int)"]
        sendmmsg: fn(c_int, *mut libc::mmsghdr, c_uint, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "ssize_t (int, const void *, size_t, int)"]
        send: fn(c_int, *const c_void, libc::size_t, c_int) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <unistd.h>; "ssize_t (int, const void *, size_t)"]
        write: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <sys/uio.h>; "ssize_t (int, const struct iovec *, int)"]
        writev: fn(c_int, *const libc::iovec, c_int) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <sys/sendfile.h>; "ssize_t (int, int, off_t *, size_t)"]
        sendfile: fn(c_int, c_int, *mut libc::off_t, libc::size_t) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <fcntl.h>; "ssize_t (int, __off64_t *, int, __off64_t *, size_t, unsigned int)"]
        splice: fn(c_int, *mut libc::loff_t, c_int, *mut libc::loff_t, libc::size_t, c_uint) -> libc::ssize_t;
        [listener: "listen-port"; <sys/socket.h>; "int (int, const struct sockaddr *, socklen_t)"]
        bind: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
        [listener: "listen-port"; <sys/socket.h>; "int (int, int)"]
        listen: fn(c_int, c_int) -> c_int;
        [request: "php-ini"; <sys/socket.h>; "int (int, struct sockaddr *, socklen_t *)"]
        accept: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int;
        [request: "php-ini"; <sys/socket.h>; "int (int, struct sockaddr *, socklen_t *, int)"]
        accept4: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t, c_int) -> c_int;
        [request: "php-ini"; <unistd.h>; "ssize_t (int, void *, size_t)"]
        read: fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t;
        [name: ""; <sys/socket.h>; "ssize_t (int, void *, size_t, int)"]
        recv: fn(c_int, *mut c_void, libc::size_t, c_int) -> libc::ssize_t;
        [name: ""; <sys/socket.h>; "ssize_t (int, void *, size_t, int, struct sockaddr *, socklen_t *)"]
        recvfrom: fn(c_int, *mut c_void, libc::size_t, c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::ssize_t;
        [name: ""; <netdb.h>; "int (const char *, const char *, const struct addrinfo *, struct addrinfo **)"]
        getaddrinfo: fn(*const c_char, *const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int;
        [name: ""; <stdlib.h>; "int (char *)"]
        putenv: fn(*mut c_char) -> c_int;
        [name: ""; <stdlib.h>; "int (const char *, const char *, int)"]
        setenv: fn(*const c_char, *const c_char, c_int) -> c_int;
        [descriptor: "stdio-socket"; <unistd.h>; "int (int)"]
        dup: fn(c_int) -> c_int;
        [descriptor: "stdio-socket"; <unistd.h>; "int (int, int)"]
        dup2: fn(c_int, c_int) -> c_int;
        [descriptor: "stdio-socket"; <unistd.h>; "int (int, int, int)"]
        dup3: fn(c_int, c_int, c_int) -> c_int;
        [descriptor: "stdio-socket"; <spawn.h>; "int (posix_spawn_file_actions_t *, int, int)"]
        posix_spawn_file_actions_adddup2: fn(*mut libc::posix_spawn_file_actions_t, c_int, c_int) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, char *const *, char *const *)"]
        execve: fn(*const c_char, *const *const c_char, *const *const c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (int, char *const *, char *const *)"]
        fexecve: fn(c_int, *const *const c_char, *const *const c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (int, const char *, char *const *, char *const *, int)"]
        execveat: fn(c_int, *const c_char, *const *mut c_char, *const *mut c_char, c_int) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <spawn.h>; "int (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *, char *const *)"]
        posix_spawn: fn(*mut libc::pid_t, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <spawn.h>; "int (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *, char *const *)"]
        posix_spawnp: fn(*mut libc::pid_t, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (const char *, mode_t)"]
        creat: fn(*const c_char, libc::mode_t) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (const char *, mode_t)"]
        creat64: fn(*const c_char, libc::mode_t) -> c_int;
        [memory: "process-memory"; <stdio.h>; "FILE *(const char *, const char *)"]
        fopen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        [memory: "process-memory"; <stdio.h>; "FILE *(const char *, const char *)"]
        fopen64: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        [memory: "process-memory"; <stdio.h>; "FILE *(const char *, const char *, FILE *)"]
        freopen: fn(*const c_char, *const c_char, *mut libc::FILE) -> *mut libc::FILE;
        [memory: "process-memory"; <stdio.h>; "FILE *(const char *, const char *, FILE *)"]
        freopen64: fn(*const c_char, *const c_char, *mut libc::FILE) -> *mut libc::FILE;
        [memory: "process-memory"; <sys/uio.h>; "ssize_t (pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long)"]
        process_vm_writev: fn(libc::pid_t, *const libc::iovec, c_ulong, *const libc::iovec, c_ulong, c_ulong) -> libc::ssize_t;
        [namespace: "namespace"; <sched.h>; "int (int)"]
        unshare: fn(c_int) -> c_int;
        [namespace: "namespace"; <sched.h>; "int (int, int)"]
        setns: fn(c_int, c_int) -> c_int;
        [end: ""; <unistd.h>; "void (int)"]
        _exit: fn(c_int) -> !;
        [start: ""; <unistd.h>; "pid_t (void)"]
        fork: fn() -> libc::pid_t;
        [start: ""; <unistd.h>; "int (__uid_t)"]
        setuid: fn(libc::uid_t) -> c_int;
        [start: ""; <unistd.h>; "int (__uid_t, __uid_t)"]
        setreuid: fn(libc::uid_t, libc::uid_t) -> c_int;
        [start: ""; <unistd.h>; "int (__uid_t, __uid_t, __uid_t)"]
        setresuid: fn(libc::uid_t, libc::uid_t, libc::uid_t) -> c_int;
        [start: ""; <unistd.h>; "int (const char *)"]
        chroot: fn(*const c_char) -> c_int;
    }
    // The same, of what the libc crate does not have.
    unchecked {
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <spawn.h>; "int (int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *, char *const *)"]
        pidfd_spawn: fn(*mut c_int, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <spawn.h>; "int (int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *, char *const *)"]
        pidfd_spawnp: fn(*mut c_int, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; none; "FILE *(FILE *, const char *, const char *)"]
        _IO_proc_open: fn(*mut libc::FILE, *const c_char, *const c_char) -> *mut libc::FILE;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <wordexp.h>; "int (const char *, wordexp_t *, int)"]
        wordexp: fn(*const c_char, *mut c_void, c_int) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (const char *, int, ...)"]
        open: fn(*const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (const char *, int, ...)"]
        open64: fn(*const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (int, const char *, int, ...)"]
        openat: fn(c_int, *const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; <fcntl.h>; "int (int, const char *, int, ...)"]
        openat64: fn(c_int, *const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; none; "int (const char *, int)"]
        __open_2: fn(*const c_char, c_int) -> c_int;
        [memory: "process-memory"; none; "int (const char *, int)"]
        __open64_2: fn(*const c_char, c_int) -> c_int;
        [memory: "process-memory"; none; "int (int, const char *, int)"]
        __openat_2: fn(c_int, *const c_char, c_int) -> c_int;
        [memory: "process-memory"; none; "int (int, const char *, int)"]
        __openat64_2: fn(c_int, *const c_char, c_int) -> c_int;
        [memory: "process-memory"; <sys/ptrace.h>; "long (enum __ptrace_request, ...)"]
        ptrace: fn(c_uint, libc::pid_t, *mut c_void, *mut c_void) -> c_long;
        [name: ""; none; "ssize_t (int, void *, size_t, size_t, int)"]
        __recv_chk: fn(c_int, *mut c_void, libc::size_t, libc::size_t, c_int) -> libc::ssize_t;
        [name: ""; none; "ssize_t (int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *)"]
        __recvfrom_chk: fn(c_int, *mut c_void, libc::size_t, libc::size_t, c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::ssize_t;
        [name: ""; <netdb.h>; "struct hostent *(const char *)"]
        gethostbyname: fn(*const c_char) -> Hosts;
        [name: ""; <netdb.h>; "struct hostent *(const char *, int)"]
        gethostbyname2: fn(*const c_char, c_int) -> Hosts;
        [name: ""; <netdb.h>; "int (const char *, struct hostent *, char *, size_t, struct hostent **, int *)"]
        gethostbyname_r: fn(*const c_char, Hosts, *mut c_char, libc::size_t, *mut Hosts, *mut c_int) -> c_int;
        [name: ""; <netdb.h>; "int (const char *, int, struct hostent *, char *, size_t, struct hostent **, int *)"]
        gethostbyname2_r: fn(*const c_char, c_int, Hosts, *mut c_char, libc::size_t, *mut Hosts, *mut c_int) -> c_int;
        [name: ""; <resolv.h>; "int (const char *, int, int, unsigned char *, int)"]
        res_query: fn(*const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; <resolv.h>; "int (const char *, int, int, unsigned char *, int)"]
        res_search: fn(*const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; <resolv.h>; "int (const char *, const char *, int, int, unsigned char *, int)"]
        res_querydomain: fn(*const c_char, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; <resolv.h>; "int (res_state, const char *, int, int, unsigned char *, int)"]
        res_nquery: fn(*mut c_void, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; <resolv.h>; "int (res_state, const char *, int, int, unsigned char *, int)"]
        res_nsearch: fn(*mut c_void, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; <resolv.h>; "int (res_state, const char *, const char *, int, int, unsigned char *, int)"]
        res_nquerydomain: fn(*mut c_void, *const c_char, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <resolv.h>; "int (const unsigned char *, int, unsigned char *, int)"]
        res_send: fn(*const core::ffi::c_uchar, c_int, Answer, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <resolv.h>; "int (res_state, const unsigned char *, int, unsigned char *, int)"]
        res_nsend: fn(*mut c_void, *const core::ffi::c_uchar, c_int, Answer, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <netdb.h>; "int (char **, int, const char *, const char *, const char *, int *)"]
        rexec: fn(*mut *mut c_char, c_int, *const c_char, *const c_char, *const c_char, *mut c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <netdb.h>; "int (char **, int, const char *, const char *, const char *, int *, sa_family_t)"]
        rexec_af: fn(*mut *mut c_char, c_int, *const c_char, *const c_char, *const c_char, *mut c_int, u16) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <netdb.h>; "int (char **, unsigned short, const char *, const char *, const char *, int *)"]
        rcmd: fn(*mut *mut c_char, u16, *const c_char, *const c_char, *const c_char, *mut c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; <netdb.h>; "int (char **, unsigned short, const char *, const char *, const char *, int *, sa_family_t)"]
        rcmd_af: fn(*mut *mut c_char, u16, *const c_char, *const c_char, *const c_char, *mut c_int, u16) -> c_int;
        [listener: "listen-port"; <netinet/in.h>; "int (int, struct sockaddr_in *)"]
        bindresvport: fn(c_int, *mut libc::sockaddr_in) -> c_int;
    }
    // Go through the real function of another row; dlsym through a jump; popen and system through posix_spawn.
    through {
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, char *const *, char *const *)"]
        execvpe: fn(*const c_char, *const *const c_char, *const *const c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, char *const *)"]
        execv: fn(*const c_char, *const *const c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, char *const *)"]
        execvp: fn(*const c_char, *const *const c_char) -> c_int;
        [start: ""; <dlfcn.h>; "void *(void *, const char *)"]
        dlsym: fn(*mut c_void, *const c_char) -> *mut c_void;
        [memory: "process-memory"; none; "int (const char *, int, ...)"]
        __open: fn(*const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; none; "int (const char *, int, ...)"]
        __open64: fn(*const c_char, c_int, libc::mode_t) -> c_int;
        [memory: "process-memory"; none; "FILE *(const char *, const char *)"]
        _IO_fopen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        [network: "egress-port, dns-direct, metadata"; none; "int (int, const struct sockaddr *, socklen_t)"]
        __connect: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
        [network: "egress-port, dns-direct, metadata"; none; "ssize_t (int, const void *, size_t, int)"]
        __send: fn(c_int, *const c_void, libc::size_t, c_int) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; none; "ssize_t (int, const void *, size_t)"]
        __write: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
        [network: "egress-port, dns-direct, metadata"; <sys/sendfile.h>; "ssize_t (int, int, __off64_t *, size_t)"]
        sendfile64: fn(c_int, c_int, *mut libc::off_t, libc::size_t) -> libc::ssize_t;
        [request: "php-ini"; none; "ssize_t (int, void *, size_t)"]
        __read: fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t;
        [descriptor: "stdio-socket"; none; "int (int, int)"]
        __dup2: fn(c_int, c_int) -> c_int;
        [end: ""; <stdlib.h>; "void (int)"]
        _Exit: fn(c_int) -> !;
        [start: ""; none; "pid_t (void)"]
        __fork: fn() -> libc::pid_t;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <stdio.h>; "FILE *(const char *, const char *)"]
        popen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <stdlib.h>; "int (const char *)"]
        system: fn(*const c_char) -> c_int;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; none; "FILE *(const char *, const char *)"]
        _IO_popen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        [name: ""; none; "int (const char *, int, int, unsigned char *, int)"]
        __res_query: fn(*const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; none; "int (const char *, int, int, unsigned char *, int)"]
        __res_search: fn(*const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; none; "int (const char *, const char *, int, int, unsigned char *, int)"]
        __res_querydomain: fn(*const c_char, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; none; "int (res_state, const char *, int, int, unsigned char *, int)"]
        __res_nquery: fn(*mut c_void, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; none; "int (res_state, const char *, int, int, unsigned char *, int)"]
        __res_nsearch: fn(*mut c_void, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [name: ""; none; "int (res_state, const char *, const char *, int, int, unsigned char *, int)"]
        __res_nquerydomain: fn(*mut c_void, *const c_char, *const c_char, c_int, c_int, Answer, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; none; "int (const unsigned char *, int, unsigned char *, int)"]
        __res_send: fn(*const core::ffi::c_uchar, c_int, Answer, c_int) -> c_int;
        [network: "egress-port, dns-direct, metadata"; none; "int (res_state, const unsigned char *, int, unsigned char *, int)"]
        __res_nsend: fn(*mut c_void, *const core::ffi::c_uchar, c_int, Answer, c_int) -> c_int;
    }
    // The same by shim/variadic.c, and by jumps of their own.
    variadic {
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, const char *, ...)"]
        execl;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, const char *, ...)"]
        execle;
        [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <unistd.h>; "int (const char *, const char *, ...)"]
        execlp;
        [namespace: "namespace"; <sched.h>; "int (int (*)(void *), void *, int, void *, ...)"]
        clone;
        [namespace: "namespace"; none; "int (int (*)(void *), void *, int, void *, ...)"]
        __clone;
        [network: "all of the system call's"; <unistd.h>; "long (long, ...)"]
        syscall;
    }
}

/// The longest name, with its NUL.
const NAME_MAX: usize = 34;

/// A function's name. A table of references would be relocated in every program that is started.
pub(super) struct Name([u8; NAME_MAX]);

impl Name {
    const fn new(name: &str) -> Name {
        let (mut bytes, mut at) = ([0; NAME_MAX], 0);
        while at < name.len() {
            bytes[at] = name.as_bytes()[at];
            at += 1;
        }
        assert!(at < NAME_MAX);
        Name(bytes)
    }

    pub(super) const fn c_str(&self) -> &CStr {
        match CStr::from_bytes_until_nul(&self.0) {
            Ok(name) => name,
            Err(_) => c"",
        }
    }
}

/// Functions of libc that are not hooked, and that popen and system are made of. Found as the real functions are, since an
/// import would be looked up in every program that is started.
macro_rules! parts {
    ($($name:ident: fn($($arg:ty),*) -> $result:ty;)*) => {
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Part { $($name,)* }
        const PARTS: &[&CStr] = &[$(match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => c"",
        },)*];

        /// The parts of popen and system.
        pub mod part {
            use super::*;
            $(
                /// `None` where libc has no such function.
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::found(FCLOSE + 1 + Part::$name as usize);
                    // SAFETY: null is `None`; else the loader gave the address under this name, and the signature is
                    // the header's.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
        }
    };
}

parts! {
    __res_state: fn() -> *mut c_void;
    sigaction: fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
    waitpid: fn(libc::pid_t, *mut c_int, c_int) -> libc::pid_t;
    write: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
    fopencookie: fn(*mut c_void, *const c_char, crate::hooks::stream::Functions) -> *mut libc::FILE;
    setvbuf: fn(*mut libc::FILE, *mut c_char, c_int, libc::size_t) -> c_int;
    fclose: fn(*mut libc::FILE) -> c_int;
    _pthread_cleanup_push: fn(*mut crate::hooks::signals::Cleanup, unsafe extern "C" fn(*mut c_void), *mut c_void) -> ();
    _pthread_cleanup_pop: fn(*mut crate::hooks::signals::Cleanup, c_int) -> ();
    posix_spawn_file_actions_init: fn(*mut libc::posix_spawn_file_actions_t) -> c_int;
    posix_spawn_file_actions_addclose: fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;
    posix_spawn_file_actions_destroy: fn(*mut libc::posix_spawn_file_actions_t) -> c_int;
}

/// Where the functions that are no row's own are in [`REAL`], behind those of the rows.
const DLSYM: usize = REALS;
const SYSCALL: usize = REALS + 1;
const CLONE: usize = REALS + 2;
const FCLOSE: usize = REALS + 3;
/// How many real functions there are.
pub(super) const WANTED: usize = FCLOSE + 1 + PARTS.len();

/// The real functions, as far as they were found: in a program that a server starts, at their first call.
pub(super) static REAL: [AtomicPtr<c_void>; WANTED] = [const { AtomicPtr::new(core::ptr::null_mut()) }; WANTED];

/// The name of a real function.
pub(super) const fn wanted(at: usize) -> &'static CStr {
    match at {
        DLSYM => c"dlsym",
        SYSCALL => c"syscall",
        CLONE => c"clone",
        FCLOSE => c"fclose",
        row if row < REALS => NAMES[row].c_str(),
        part if part < WANTED => PARTS[part - FCLOSE - 1],
        _ => c"",
    }
}

#[inline]
fn real(row: Row) -> *mut c_void {
    found(row as usize)
}

#[inline]
fn found(index: usize) -> *mut c_void {
    let Some(slot) = REAL.get(index) else { return core::ptr::null_mut() };
    let at = slot.load(Ordering::Acquire);
    if at.is_null() { first(index) } else { at }
}

/// read(2) as it was found so far; `None` before the constructor has run.
#[inline(always)]
pub fn found_read() -> Option<unsafe extern "C" fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t> {
    let at = REAL.get(Row::read as usize)?.load(Ordering::Relaxed);
    // SAFETY: null is `None`; else it is libc's, or that of the next preload.
    unsafe { core::mem::transmute(at) }
}

/// The first call of a function; another library's constructor may make it before this library's constructor has run.
#[cold]
#[inline(never)]
fn first(index: usize) -> *mut c_void {
    crate::init::ensure();
    super::find::late(index)
}

/// The row of a function of that name.
///
/// # Safety
/// `name` must be a C string.
unsafe fn row_of(name: *const u8) -> Option<usize> {
    let same = |known: &CStr| {
        let bytes = known.to_bytes_with_nul();
        // SAFETY: no byte behind the first difference is read, so none behind the NUL.
        bytes.iter().enumerate().all(|(at, byte)| unsafe { name.wrapping_add(at).read() } == *byte)
    };
    NAMES.iter().position(|known| same(known.c_str()))
}

/// The hook for a function of that name, and the function that it stands before; null where libc has none, or where the
/// hook goes through another row's.
///
/// # Safety
/// `name` must be a C string.
pub unsafe fn hook_for(name: *const u8) -> Option<(*mut c_void, *mut c_void)> {
    // SAFETY: as the caller promises.
    let row = unsafe { row_of(name) }?;
    let real = if row < REALS { found(row) } else { core::ptr::null_mut() };
    Some((own(row), real))
}

/// Whether a function of that name has a real one of its own.
pub fn has_real(name: *const u8) -> bool {
    // SAFETY: dlsym's callers give C strings.
    unsafe { row_of(name) }.is_some_and(|row| row < REALS)
}
