//! What a process with the guard says to the supervisor of its server: by a system call that the filter reports, and that does nothing.
//!
//! It is the call that starts a program, without one: whatever filter a unit has, what may not make this call starts nothing that would
//! have to be announced. A filter that forbids one of the two such calls leaves the other; which one it is the secret says, which each
//! process has that says anything.

use super::raw::syscall;
use super::{Notice, arch, block_signals, lets, secret, since_boot, tried};
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

/// By which call the processes speak that have a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpeaksBy {
    Execve = 0,
    Execveat = 1,
    /// Neither can be made: no program is started.
    Nothing = 2,
}

impl SpeaksBy {
    /// The bits of a secret that say it; the one below makes it differ from none.
    const AT: u32 = 1;
    const BITS: u64 = 3;

    /// Those that a secret's processes use.
    pub fn of(secret: u64) -> SpeaksBy {
        match secret >> SpeaksBy::AT & SpeaksBy::BITS {
            0 => SpeaksBy::Execve,
            1 => SpeaksBy::Execveat,
            _ => SpeaksBy::Nothing,
        }
    }

    /// A secret of random bits that says it.
    pub fn secret(self, random: u64) -> u64 {
        random & !(SpeaksBy::BITS << SpeaksBy::AT) | (self as u64) << SpeaksBy::AT | 1
    }

    /// What this process can speak by. A unit's filter may end whoever makes the call, or answer it: a child tries it.
    pub fn tried() -> SpeaksBy {
        let fails = |by: SpeaksBy| tried(|| by.call(0, [b"", b""]) == -(libc::EFAULT as isize));
        [SpeaksBy::Execve, SpeaksBy::Execveat].into_iter().find(|by| fails(*by)).unwrap_or(SpeaksBy::Nothing)
    }

    /// Makes the call. To the kernel it has no path, so it executes nothing.
    fn call(self, mark: u64, [one, two]: [&[u8]; 2]) -> isize {
        let lens = one.len() | two.len() << 32;
        let (one, two, mark) = (one.as_ptr() as usize, two.as_ptr() as usize, mark as usize);
        let (number, args) = match self {
            SpeaksBy::Execve => (libc::SYS_execve, [0, one, lens, two, 0, mark]),
            SpeaksBy::Execveat => (libc::SYS_execveat, [lens, 0, one, two, 0, mark]),
            SpeaksBy::Nothing => return -(libc::ENOSYS as isize),
        };
        // SAFETY: the kernel reads the path first, and there is none.
        unsafe { syscall(number, args) }
    }
}

/// What a call announces to whoever knows the secret.
pub fn announced(notice: &Notice, secret: u64) -> Option<Announced> {
    if notice.architecture != arch::AUDIT || secret == 0 {
        return None;
    }
    let (lens, one, two, mark) = match (libc::c_long::from(notice.number), notice.args) {
        (libc::SYS_execve, [0, one, lens, two, 0, mark]) => (lens, one, two, mark),
        (libc::SYS_execveat, [lens, 0, one, two, 0, mark]) => (lens, one, two, mark),
        _ => return None,
    };
    let parts = [(one, lens & u64::from(u32::MAX)), (two, lens >> 32)];
    match mark ^ secret {
        UNGUARDED => Some(Announced::Unguarded(parts)),
        EXPECTED => Some(Announced::Expected(parts)),
        ASKED => Some(Announced::Asked),
        _ => None,
    }
}

/// Until the supervisor has received it a signal would interrupt it, and it would not be heard: so there are none meanwhile.
fn say(secret: u64, what: u64, texts: [&[u8]; 2]) -> isize {
    let blocks = lets(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, 0, 0, 8, 0, 0]);
    let mask = if blocks { block_signals(libc::SIG_SETMASK, u64::MAX) } else { 0 };
    let said = SpeaksBy::of(secret).call(secret ^ what, texts);
    if blocks {
        block_signals(libc::SIG_SETMASK, mask);
    }
    said
}

/// The answer to an announcement that was heard: whoever looks at system calls from outside sees no program executed.
pub const HEARD: isize = -(libc::EALREADY as isize);
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
    say(secret, ASKED, [b"", b""]) == HEARD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{self, Fd, Reply};
    use portcullis_policy::format::Instruction;

    /// How often a thread says something to whom these are the answers, the last one always.
    fn said(answers: &[isize]) -> usize {
        let step = |code: u16, k: u32, jf: u8| Instruction { code: code.into(), jt: 0, jf, k: k.into() };
        let number = libc::SYS_execve as u32;
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

    /// Which call a thread speaks by under a filter that answers these calls so.
    fn speaks_by(forbidden: &[libc::c_long], action: u32) -> SpeaksBy {
        let step = |code: u16, k: u32, jf: u8| Instruction { code: code.into(), jt: 0, jf, k: k.into() };
        let forbid = |number: &libc::c_long| [step(0x15, *number as u32, 1), step(0x06, action, 0)];
        let mut filter = vec![step(0x20, 0, 0)];
        filter.extend(forbidden.iter().flat_map(forbid));
        filter.push(step(0x06, 0x7fff_0000, 0));
        let thread = std::thread::spawn(move || {
            assert!(sys::set_no_new_privs());
            sys::seccomp(&filter, 0).expect("a filter");
            SpeaksBy::tried()
        });
        thread.join().expect("a thread")
    }

    #[test]
    fn what_a_filter_forbids_is_not_called() {
        const KILL: u32 = 0x8000_0000;
        const FAIL: u32 = 0x0005_0001;
        let both = [libc::SYS_execve, libc::SYS_execveat];
        assert_eq!(speaks_by(&[], KILL), SpeaksBy::Execve);
        for action in [KILL, FAIL] {
            assert_eq!(speaks_by(&both[..1], action), SpeaksBy::Execveat);
            assert_eq!(speaks_by(&both, action), SpeaksBy::Nothing);
        }
        for by in [SpeaksBy::Execve, SpeaksBy::Execveat, SpeaksBy::Nothing] {
            for random in [0, u64::MAX] {
                assert_eq!(SpeaksBy::of(by.secret(random)), by);
            }
        }
    }

    #[test]
    fn both_calls_say_the_same() {
        let of = |number: libc::c_long, args| {
            let mut notice = Notice::default();
            (notice.number, notice.architecture, notice.args) = (number as i32, arch::AUDIT, args);
            notice
        };
        let (secret, lens) = (SpeaksBy::Execve.secret(77), 5 | 9 << 32);
        let is =
            |notice: &Notice| matches!(announced(notice, secret), Some(Announced::Unguarded([(1000, 5), (2000, 9)])));
        let mark = secret ^ UNGUARDED;
        assert!(is(&of(libc::SYS_execve, [0, 1000, lens, 2000, 0, mark])));
        assert!(is(&of(libc::SYS_execveat, [lens, 0, 1000, 2000, 0, mark])));
        let mut foreign = of(libc::SYS_execve, [0, 1000, lens, 2000, 0, mark]);
        foreign.architecture = 0x4000_0003;
        for other in [
            foreign,
            of(libc::SYS_execve, [1, 1000, lens, 2000, 0, mark]),
            of(libc::SYS_execve, [0, 1000, lens, 2000, 0, mark ^ 2]),
            of(libc::SYS_execveat, [lens, 0, 1000, 2000, libc::AT_EMPTY_PATH as u64, mark]),
        ] {
            assert!(announced(&other, secret).is_none(), "a program may be executed");
        }
    }

    #[test]
    fn what_was_not_heard_is_said_again() {
        sys::set_secret(SpeaksBy::Execve.secret(77));
        assert_eq!(said(&[HEARD]), 1);
        assert_eq!(said(&[UNREAD, UNREAD, HEARD]), 3);
        assert_eq!(said(&[UNREAD]), TRIES as usize);
        assert_eq!(said(&[-(libc::EFAULT as isize)]), 1, "nobody listens");
    }
}
