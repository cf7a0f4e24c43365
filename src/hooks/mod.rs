//! The hooks: each builds the action, asks, and acts.
// The names are libc's.
#![allow(non_snake_case)]

mod apart;
mod attempt;
mod closing;
mod connect;
pub mod deepbind;
mod descriptor;
mod egress;
mod end;
mod exec;
mod file_actions;
mod filters;
pub mod init;
mod inject;
mod lent_actions;
mod listen;
mod loaded;
mod messages;
mod mounting;
mod musl_actions;
mod namespace;
mod open;
mod posix_spawn;
mod privilege;
mod reading;
mod remote;
mod resolve;
mod send;
mod sendto;
mod serving;
mod setting;
mod shell;
mod signals;
mod socket;
mod stream;
mod syscall;
pub mod table;
mod trampoline;
mod turn;

pub use closing::{__close, __close_nocancel, close, close_range, closefrom};
pub use connect::{__connect, connect};
pub use descriptor::{
    __dup2, __fcntl, __libc_fcntl64, dup, dup2, dup3, fcntl, fcntl64, posix_spawn_file_actions_adddup2,
};
pub use end::{_Exit, _exit};
pub use exec::{execl, execle, execlp, execv, execve, execveat, execvp, execvpe, fexecve};
pub use filters::{prctl, pthread_create, thrd_create};
pub use inject::{process_vm_readv, process_vm_writev, ptrace};
pub use listen::{bind, listen};
pub use loaded::{__fork, __libc_fork, dlopen, dlsym, dlvsym, fork};
pub use messages::{__sendmmsg, sendmmsg};
pub use mounting::{fsopen, mount};
pub use namespace::{__clone, clone, setns, unshare};
pub use open::{
    __open, __open_2, __open_nocancel, __open64, __open64_2, __open64_nocancel, __openat_2, __openat64_2, _IO_fopen,
    creat, creat64, fopen, fopen64, freopen, freopen64, open, open64, openat, openat64,
};
pub use posix_spawn::{pidfd_spawn, pidfd_spawnp, posix_spawn, posix_spawnp};
pub use privilege::{chroot, setresuid, setreuid, setuid};
pub use remote::{bindresvport, rcmd, rcmd_af, rexec, rexec_af};
pub use resolve::{
    __res_nquery, __res_nquerydomain, __res_nsearch, __res_nsend, __res_query, __res_querydomain, __res_search,
    __res_send, getaddrinfo, gethostbyname, gethostbyname_r, gethostbyname2, gethostbyname2_r, res_nquery,
    res_nquerydomain, res_nsearch, res_nsend, res_query, res_querydomain, res_search, res_send,
};
pub use send::{__send, __write, __write_nocancel, send, sendfile, sendfile64, splice, write, writev};
pub use sendto::{sendmsg, sendto};
pub use serving::{
    __read, __read_chk, __read_nocancel, __recv, __recv_chk, __recvfrom_chk, accept, accept4, read, recv, recvfrom,
};
pub use setting::{putenv, setenv};
pub use shell::{__libc_system, _IO_proc_open, system, wordexp};
pub use socket::{__socket, getsockopt, recvmmsg, recvmsg, setsockopt, socket};
pub use stream::{_IO_popen, pclose, popen};
pub use syscall::syscall;

use crate::real::errno::{as_libc, as_libc_size, errno, fail};
use core::ffi::{c_int, c_long};

fn to_long(result: c_int) -> c_long {
    c_long::from(result)
}
