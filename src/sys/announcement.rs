//! What a process with the guard says to the supervisor of its server: by a system call that the filter reports, and that does nothing.

use super::raw::syscall;
use super::{Notice, block_signals, lets, secret, since_boot};
use crate::memory::StringBuf;

/// What makes of a secret the mark of an announcement: of a program without the guard, of one that libc is about to execute in a new
/// process, and of the question whether anybody hears it.
const UNGUARDED: u64 = 0x616e_6e6f_756e_6365;
const EXPECTED: u64 = 0x6578_7065_6374_6564;
const ASKED: u64 = 0x616e_7962_6f64_793f;

/// What somebody says who has the secret: two texts, each with its length.
pub enum Announced {
    /// The request and the programs of a process that is about to execute a program without the guard.
    Unguarded([(u64, u64); 2]),
    /// The arguments, and the file and path, of a program that libc is about to execute in a new process.
    Expected([(u64, u64); 2]),
    /// Whether there is a supervisor.
    Asked,
}

/// What a call announces to whoever knows the secret.
pub fn announced(notice: &Notice, secret: u64) -> Option<Announced> {
    let [_, text, len, chain, chain_len, mark] = notice.args;
    let parts = [(text, len), (chain, chain_len)];
    if libc::c_long::from(notice.number) != libc::SYS_io_uring_setup {
        return None;
    }
    match mark ^ secret {
        UNGUARDED => Some(Announced::Unguarded(parts)),
        EXPECTED => Some(Announced::Expected(parts)),
        ASKED => Some(Announced::Asked),
        _ => None,
    }
}

/// To the kernel it is a ring without entries, which it does not make. Until the supervisor has received it a signal would interrupt
/// it, and it would not be heard: so there are none meanwhile.
fn say(secret: u64, what: u64, [one, two]: [&[u8]; 2]) -> isize {
    let mark = secret ^ what;
    let args = [0, one.as_ptr() as usize, one.len(), two.as_ptr() as usize, two.len(), mark as usize];
    let blocks = lets(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, 0, 0, 8, 0, 0]);
    let mask = if blocks { block_signals(libc::SIG_SETMASK, u64::MAX) } else { 0 };
    // SAFETY: the kernel at most reads and writes what it takes for the ring's parameters; without entries it writes nothing.
    let said = unsafe { syscall(libc::SYS_io_uring_setup, args) };
    if blocks {
        block_signals(libc::SIG_SETMASK, mask);
    }
    said
}

/// The answer to an announcement that could not be read.
pub const UNREAD: isize = -(libc::EAGAIN as isize);
/// How often an announcement is made that the supervisor cannot read in time, and after how long no more, in nanoseconds.
const TRIES: u32 = 8;
const TRIED_MAX: u64 = 1_000_000_000;

/// Tells the supervisor for which request this process is about to execute a program without the guard.
pub fn announce(text: &[u8], chain: &[u8]) {
    tell(UNGUARDED, [text, chain]);
}

/// Says it again while the supervisor could not read it: other threads of this process keep its memory locked.
fn tell(what: u64, texts: [&[u8]; 2]) {
    let end = since_boot().wrapping_add(TRIED_MAX);
    let is_heard = |_| say(secret(), what, texts) != UNREAD || since_boot() > end;
    let _ = (0..TRIES).any(is_heard);
}

/// The longest announcement of a program that libc is about to execute, without its arguments: device, inode, path.
pub const EXPECTED_MAX: usize = 16 + 256;

/// Tells the supervisor which program libc is about to execute in a new process of this thread, and which file that is; that it does no
/// more, without arguments.
pub fn expect(arguments: &[u8], (device, inode): (u64, u64), path: &[u8]) {
    let mut program = StringBuf::<{ EXPECTED_MAX + 1 }>::new();
    program.push(&device.to_le_bytes());
    program.push(&inode.to_le_bytes());
    program.push(path);
    if program.fits() {
        tell(EXPECTED, [arguments, program.bytes()]);
    }
}

/// Whether a supervisor answers this process's calls that do not carry this secret.
pub fn is_supervised(secret: u64) -> bool {
    say(secret, ASKED, [b"", b""]) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{self, Fd, Reply};
    use portcullis_policy::format::Instruction;

    /// How often a thread says something to whom these are the answers, the last one always.
    fn said(answers: &[isize]) -> usize {
        let step = |code: u16, k: u32, jf: u8| Instruction { code: code.into(), jt: 0, jf, k: k.into() };
        let number = libc::SYS_io_uring_setup as u32;
        let filter = [step(0x20, 0, 0), step(0x15, number, 1), step(0x06, 0x7fc0_0000, 0), step(0x06, 0x7fff_0000, 0)];
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            assert!(sys::set_no_new_privs());
            tell.send(sys::seccomp(&filter, sys::NEW_LISTENER)).expect("somebody");
            announce(b"text", b"chain");
        });
        let listener = Fd(told.recv().expect("a thread").expect("a listener") as i32);
        let mut count = 0;
        loop {
            let mut entry = [libc::pollfd { fd: listener.0, events: libc::POLLIN, revents: 0 }];
            sys::poll(&mut entry, u32::MAX >> 1);
            // Once the thread has ended, nobody has its filter.
            if entry[0].revents & libc::POLLIN == 0 {
                break;
            }
            let notice = sys::receive(listener.0).expect("what was said");
            assert!(matches!(announced(&notice, secret()), Some(Announced::Unguarded(_))));
            let answer = answers.get(count).or(answers.last()).copied().unwrap_or(0);
            sys::reply(listener.0, notice.id, Reply::Result(answer as i64));
            count += 1;
        }
        thread.join().expect("a thread");
        count
    }

    #[test]
    fn what_was_not_heard_is_said_again() {
        assert_eq!(said(&[0]), 1);
        assert_eq!(said(&[UNREAD, UNREAD, 0]), 3);
        assert_eq!(said(&[UNREAD]), TRIES as usize);
        assert_eq!(said(&[-(libc::EINVAL as isize)]), 1, "nobody listens");
    }
}
