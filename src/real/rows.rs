//! The rows of the table of hooks: every function that this library exports under libc's name.
//!
//! A row has a family, the rules that it is for, the header that declares the function and its C signature, then its name and its
//! Rust signature. tests/library/table.rs compares docs/hooks.md with the rows, and the C signature with the header.

/// Gives the rows to the macro `$hooks`.
macro_rules! rows {
    ($hooks:ident) => {
        $hooks! {
            // Called where the guard lets a call go ahead.
            checked {
                [network: "egress-port, dns-direct, metadata, fpm-socket"; <sys/socket.h>; "int (int, const struct sockaddr *, socklen_t)"]
                connect: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
                [network: "egress-port, dns-direct, metadata, fpm-socket"; <sys/socket.h>; "ssize_t (int, const void *, size_t, int, const struct sockaddr *, socklen_t)"]
                sendto: fn(c_int, *const c_void, libc::size_t, c_int, *const libc::sockaddr, libc::socklen_t) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata, fpm-socket"; <sys/socket.h>; "ssize_t (int, const struct msghdr *, int)"]
                sendmsg: fn(c_int, *const libc::msghdr, c_int) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata, fpm-socket"; <sys/socket.h>; "int (int, struct mmsghdr *, unsigned int, int)"]
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
                [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, int, int)"]
                socket: fn(c_int, c_int, c_int) -> c_int;
                [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, int, int, const void *, socklen_t)"]
                setsockopt: fn(c_int, c_int, c_int, *const c_void, libc::socklen_t) -> c_int;
                [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, int, int, void *, socklen_t *)"]
                getsockopt: fn(c_int, c_int, c_int, *mut c_void, *mut libc::socklen_t) -> c_int;
                [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "ssize_t (int, struct msghdr *, int)"]
                recvmsg: fn(c_int, *mut libc::msghdr, c_int) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata"; <sys/socket.h>; "int (int, struct mmsghdr *, unsigned int, int, struct timespec *)"]
                recvmmsg: fn(c_int, *mut libc::mmsghdr, c_uint, c_int, *mut libc::timespec) -> c_int;
                [request: "php-ini, fpm-socket"; <sys/socket.h>; "int (int, struct sockaddr *, socklen_t *)"]
                accept: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int;
                [request: "php-ini, fpm-socket"; <sys/socket.h>; "int (int, struct sockaddr *, socklen_t *, int)"]
                accept4: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t, c_int) -> c_int;
                [request: "php-ini, fpm-socket"; <unistd.h>; "ssize_t (int, void *, size_t)"]
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
                [start: ""; <dlfcn.h>; "void *(const char *, int)"]
                dlopen: fn(*const c_char, c_int) -> *mut c_void;
                [start: ""; <dlfcn.h>; "void *(void *, const char *, const char *)"]
                dlvsym: fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
                [start: ""; <stdio.h>; "int (FILE *)"]
                pclose: fn(*mut libc::FILE) -> c_int;
                [memory: "process-memory"; <sys/uio.h>; "ssize_t (pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long)"]
                process_vm_readv: fn(libc::pid_t, *const libc::iovec, c_ulong, *const libc::iovec, c_ulong, c_ulong) -> libc::ssize_t;
                [memory: "process-memory"; <sys/uio.h>; "ssize_t (pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long)"]
                process_vm_writev: fn(libc::pid_t, *const libc::iovec, c_ulong, *const libc::iovec, c_ulong, c_ulong) -> libc::ssize_t;
                [namespace: "namespace"; <sched.h>; "int (int)"]
                unshare: fn(c_int) -> c_int;
                [namespace: "namespace"; <sched.h>; "int (int, int)"]
                setns: fn(c_int, c_int) -> c_int;
                [program: "shell-spawn, exec-place, exec-tool, exec-unguarded"; <sys/mount.h>; "int (const char *, const char *, const char *, unsigned long, const void *)"]
                mount: fn(*const c_char, *const c_char, *const c_char, c_ulong, *const c_void) -> c_int;
                [sink: ""; <unistd.h>; "int (int)"]
                close: fn(c_int) -> c_int;
                [sink: ""; <unistd.h>; "int (unsigned int, unsigned int, int)"]
                close_range: fn(c_uint, c_uint, c_int) -> c_int;
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
                [sink: ""; <unistd.h>; "void (int)"]
                closefrom: fn(c_int) -> ();
                [end: ""; <pthread.h>; "int (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)"]
                pthread_create: fn(*mut libc::pthread_t, *const libc::pthread_attr_t, extern "C" fn(*mut c_void) -> *mut c_void,
                    *mut c_void) -> c_int;
                [end: ""; <threads.h>; "int (thrd_t *, int (*)(void *), void *)"]
                thrd_create: fn(*mut libc::pthread_t, extern "C" fn(*mut c_void) -> c_int, *mut c_void) -> c_int;
                [program: "shell-spawn, exec-place, exec-tool, exec-unguarded"; <sys/mount.h>; "int (const char *, unsigned int)"]
                fsopen: fn(*const c_char, c_uint) -> c_int;
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
                [descriptor: "stdio-socket"; <fcntl.h>; "int (int, int, ...)"]
                fcntl: fn(c_int, c_int, c_ulong) -> c_int;
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
                [end: ""; <sys/prctl.h>; "int (int, ...)"]
                prctl: fn(c_int, c_ulong, c_ulong, c_ulong, c_ulong) -> c_int;
                [request: "php-ini, fpm-socket"; none; "ssize_t (int, void *, size_t, size_t)"]
                __read_chk: fn(c_int, *mut c_void, libc::size_t, libc::size_t) -> libc::ssize_t;
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
                [memory: "process-memory"; none; "int (const char *, int, ...)"]
                __open_nocancel: fn(*const c_char, c_int, libc::mode_t) -> c_int;
                [memory: "process-memory"; none; "int (const char *, int, ...)"]
                __open64_nocancel: fn(*const c_char, c_int, libc::mode_t) -> c_int;
                [memory: "process-memory"; none; "FILE *(const char *, const char *)"]
                _IO_fopen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
                [network: "egress-port, dns-direct, metadata, fpm-socket"; none; "int (int, const struct sockaddr *, socklen_t)"]
                __connect: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
                [network: "egress-port, dns-direct, metadata"; none; "int (int, int, int)"]
                __socket: fn(c_int, c_int, c_int) -> c_int;
                [network: "egress-port, dns-direct, metadata"; none; "ssize_t (int, const void *, size_t, int)"]
                __send: fn(c_int, *const c_void, libc::size_t, c_int) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata"; none; "ssize_t (int, const void *, size_t)"]
                __write: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata"; none; "ssize_t (int, const void *, size_t)"]
                __write_nocancel: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata, fpm-socket"; none; "int (int, struct mmsghdr *, unsigned int, int)"]
                __sendmmsg: fn(c_int, *mut libc::mmsghdr, c_uint, c_int) -> c_int;
                [name: ""; none; "ssize_t (int, void *, size_t, int)"]
                __recv: fn(c_int, *mut c_void, libc::size_t, c_int) -> libc::ssize_t;
                [network: "egress-port, dns-direct, metadata"; <sys/sendfile.h>; "ssize_t (int, int, __off64_t *, size_t)"]
                sendfile64: fn(c_int, c_int, *mut libc::off_t, libc::size_t) -> libc::ssize_t;
                [request: "php-ini, fpm-socket"; none; "ssize_t (int, void *, size_t)"]
                __read: fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t;
                [request: "php-ini, fpm-socket"; none; "ssize_t (int, void *, size_t)"]
                __read_nocancel: fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t;
                [descriptor: "stdio-socket"; none; "int (int, int)"]
                __dup2: fn(c_int, c_int) -> c_int;
                [descriptor: "stdio-socket"; <fcntl.h>; "int (int, int, ...)"]
                fcntl64: fn(c_int, c_int, c_ulong) -> c_int;
                [descriptor: "stdio-socket"; none; "int (int, int, ...)"]
                __fcntl: fn(c_int, c_int, c_ulong) -> c_int;
                [descriptor: "stdio-socket"; none; "int (int, int, ...)"]
                __libc_fcntl64: fn(c_int, c_int, c_ulong) -> c_int;
                [sink: ""; none; "int (int)"]
                __close: fn(c_int) -> c_int;
                [sink: ""; none; "int (int)"]
                __close_nocancel: fn(c_int) -> c_int;
                [end: ""; <stdlib.h>; "void (int)"]
                _Exit: fn(c_int) -> !;
                [start: ""; none; "pid_t (void)"]
                __fork: fn() -> libc::pid_t;
                [start: ""; none; "pid_t (void)"]
                __libc_fork: fn() -> libc::pid_t;
                [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <stdio.h>; "FILE *(const char *, const char *)"]
                popen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
                [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; <stdlib.h>; "int (const char *)"]
                system: fn(*const c_char) -> c_int;
                [program: "shell-spawn, exec-place, exec-tool, stdio-socket, loader-env, exec-unguarded"; none; "int (const char *)"]
                __libc_system: fn(*const c_char) -> c_int;
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
    };
}
pub(crate) use rows;
