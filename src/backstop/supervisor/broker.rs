//! The broker: duplicates descriptors of the caller for the judge, opens files of the caller in /proc, makes calls in place of the
//! caller, and writes events. An attacker may control the judge: the broker acts only for the current call, and takes from the
//! judge only numbers and bytes, which it copies once.

mod calls;
mod children;

use super::opening::PRIVILEGED;
use super::permit::{self, Permit};
use super::remote::{or_as_user, writable};
use super::{Member, SharedState, subject};
use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::report::sink;
use crate::sys::broker::KEPT_NAMES;
use crate::sys::broker::desk::{
    ANSWER, ASKED, BrokerCopy, Desk, GO_ON, LATER, LENT, NO_PLACE, NOBODY, RESULT, Shape, asked,
};
use crate::sys::procfs;
use crate::sys::{self, ADDRESS_MAX, Fd, Reply};
use core::cell::Cell;
use core::net::IpAddr;
use core::sync::atomic::Ordering;

/// The highest errno.
const ERRNO_MAX: i64 = 4095;

/// The worker and the call that the judge works on.
#[derive(Clone, Copy)]
pub enum JudgeActivity<'a> {
    /// The call of a thread.
    Call { member: &'a Member, thread: u32, id: u64, permit: Permit },
    /// A worker of which it learns the pools, and when that began.
    Worker(u32, u64),
    /// No call and no worker.
    Nothing,
}

/// A call, while the judge works on it.
pub struct JudgeJob<'a> {
    pub shared: &'a SharedState,
    pub desk: &'a Desk,
    pub at: JudgeActivity<'a>,
    /// The duplicated descriptor, with its number in the caller.
    lent: [Option<(i32, Fd)>; LENT],
    /// Something was done that cannot be repeated.
    pub acted: bool,
    /// The site of the call: on whose account the lengths of messages are written, and what was lent is closed.
    site: u32,
    /// Somebody else answers the call.
    awaited: Cell<bool>,
    /// The caller's process.
    process: Cell<u32>,
    /// The caller's memory, to write to.
    memory: Option<Fd>,
}

/// What was done for a call so far.
pub enum SoFar {
    Nothing,
    /// So many messages of one call were sent: it may return that.
    Sent(i64),
    /// Events of some messages of one call were written, and none was sent: the rest cannot be judged.
    Events,
    /// Something that only this judge can continue.
    Unknown,
}

impl Drop for JudgeJob<'_> {
    fn drop(&mut self) {
        for place in 0..LENT {
            if let Some((_, fd)) = self.lent.get_mut(place).and_then(Option::take) {
                // What is noted, another may close: by then the number may be of something else.
                self.note_lent(place, -1);
                self.let_go(fd);
            }
        }
    }
}

/// The broker's answer to one request of the judge.
pub enum BrokerOutcome {
    Answer(i64, Option<Fd>),
    /// What a process of its own says.
    Says([u64; ANSWER]),
    /// What it calls a descriptor that it keeps.
    Lends(i64, i32),
    Done(Option<Reply>),
    /// No valid request.
    Nonsense,
}

/// A number, as what is answered.
pub fn number(number: i64) -> [u64; ANSWER] {
    let mut words = [0; ANSWER];
    words[0] = number as u64;
    words
}

fn failed(errno: i32) -> BrokerOutcome {
    BrokerOutcome::Answer(-i64::from(errno), None)
}

/// How a file of /proc is opened for the judge, by its name; `None` for a file that it does not need. Memory and mappings are opened
/// for the caller's process only.
fn opens(name: &[u8], is_place: bool, is_callers: bool) -> Option<i32> {
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let range = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let children = name.strip_prefix(b"task/").and_then(|rest| rest.strip_suffix(b"/children"));
    let is_own = || match (name, name.strip_prefix(b"map_files/")) {
        (b"mem" | b"maps" | b"environ", _) => !is_place,
        (b"root" | b"cwd" | b"ns/mnt" | b"ns/user" | b"", _) => is_place,
        (_, Some(text)) => is_place && range(text),
        _ => name.strip_prefix(b"task/").is_some_and(|thread| is_place && number(thread)),
    };
    let may = match name {
        b"status" | b"stat" | b"comm" | b"cmdline" | b"cgroup" | b"attr/current" => !is_place,
        b"exe" => is_place,
        _ => children.is_some_and(|thread| !is_place && number(thread)) || (is_callers && is_own()),
    };
    may.then_some(if is_place { libc::O_PATH } else { libc::O_RDONLY })
}

impl<'a> JudgeJob<'a> {
    pub fn new(shared: &'a SharedState, desk: &'a Desk, at: JudgeActivity<'a>) -> JudgeJob<'a> {
        JudgeJob {
            shared,
            desk,
            at,
            lent: [const { None }; LENT],
            acted: false,
            site: 0,
            awaited: Cell::new(false),
            process: Cell::new(0),
            memory: None,
        }
    }

    /// What was done for it so far.
    pub fn so_far(&self, copied: &BrokerCopy) -> SoFar {
        match (self.acted, self.permit().writes_lengths(), copied.lengths.len()) {
            (false, ..) => SoFar::Nothing,
            _ if self.awaited.get() => SoFar::Unknown,
            (true, false, _) => SoFar::Unknown,
            (true, true, 0) => SoFar::Events,
            (true, true, sent) => SoFar::Sent(sent as i64),
        }
    }

    /// The caller's thread and its process.
    fn caller(&self) -> Option<(u32, u32)> {
        let JudgeActivity::Call { thread, .. } = self.at else { return None };
        if self.process.get() == 0 {
            self.process.set(subject::process_of(thread)?);
        }
        Some((thread, self.process.get()))
    }

    /// The files of the caller that the judge reads first. They are opened while the call waits, so they are the caller's. `None` if
    /// one cannot be opened.
    pub fn files(&self) -> Option<[Fd; KEPT_NAMES.len()]> {
        let JudgeActivity::Call { thread, .. } = self.at else { return None };
        let open = |name: &[u8]| {
            let path = procfs::proc_path(thread, name);
            sys::open(libc::AT_FDCWD, path.c_str(), libc::O_RDONLY, 0).ok()
        };
        if !self.still_waits() {
            return None;
        }
        let [mem, maps, status] = KEPT_NAMES;
        let files = [open(mem)?, open(maps)?, open(status)?];
        self.still_waits().then_some(files)
    }

    /// Whether the call still waits, or the worker still runs. Otherwise another process may have the number, so what was opened by the
    /// number counts only if this is true afterwards. It is checked before as well: if a thread executes a program while the caller
    /// is being ended, the kernel does not answer until it has freed the memory.
    fn still_waits(&self) -> bool {
        match self.at {
            JudgeActivity::Call { member, id, .. } => sys::still_waits(member.listener.load(Ordering::Relaxed), id),
            JudgeActivity::Worker(worker, start) => subject::start_of(worker) == Some(start),
            JudgeActivity::Nothing => false,
        }
    }

    /// Whether the lengths of messages can be written, once all are sent: by a process of its own, since the caller may keep its memory
    /// locked.
    fn may_tell(&mut self, site: u32) -> bool {
        let JudgeActivity::Call { member, .. } = self.at else { return false };
        if self.memory.is_none() && self.shared.helpers.have_place(site, member.pid.load(Ordering::Relaxed)) {
            (self.memory, self.site) = (self.memory(), site);
        }
        self.memory.is_some()
    }

    /// The memory of the caller, to write to.
    fn memory(&self) -> Option<Fd> {
        let JudgeActivity::Call { thread, .. } = self.at else { return None };
        if !self.still_waits() {
            return None;
        }
        writable(thread).filter(|_| self.still_waits())
    }

    /// Whether the caller itself may open a port.
    fn may_have(&self, port: u16) -> bool {
        let is_roots = || match self.at {
            JudgeActivity::Call { thread, .. } => subject::user_of(thread).is_some_and(|(user, _)| user == 0),
            _ => false,
        };
        // The caller's process may execute a set-user-ID program meanwhile.
        !(1..PRIVILEGED).contains(&port) || (is_roots() && self.still_waits())
    }

    fn permit(&self) -> Permit {
        match self.at {
            JudgeActivity::Call { permit, .. } => permit,
            _ => Permit::NOTHING,
        }
    }

    /// The socket of the call, if it was duplicated and the call still waits.
    fn lent(&self, token: u64) -> Option<i32> {
        let (number, Fd(fd)) = self.lent.get(usize::try_from(token).ok()?)?.as_ref()?;
        (self.permit().acts_on(*number, *fd) && self.still_waits()).then_some(*fd)
    }

    /// Handles a request of the judge.
    pub fn answer(&mut self, words: &[u64; ASKED], with: Option<Fd>, copied: &mut BrokerCopy) -> BrokerOutcome {
        let [what, a, b, c, d, e, f, _] = *words;
        if !self.permit().has(words) {
            return BrokerOutcome::Nonsense;
        }
        self.acted |=
            !matches!(what, asked::OPEN | asked::FOLLOW | asked::BORROW | asked::WAITS | asked::OWN | asked::NAME);
        match what {
            asked::OPEN => {
                let Some(name) = copied.text(self.desk, c) else { return BrokerOutcome::Nonsense };
                self.open(a as u32, name, b == 1)
            }
            asked::FOLLOW => {
                let (Some(folder), Some(name)) = (with, copied.text(self.desk, a)) else {
                    return BrokerOutcome::Nonsense;
                };
                self.follow(&folder, name)
            }
            asked::BORROW => {
                self.site = b as u32;
                self.borrow(a as i32)
            }
            asked::WAITS => BrokerOutcome::Answer(i64::from(self.still_waits()), None),
            asked::CONNECT => self.connect(a, b, c, d != 0, copied),
            // What is sent and cannot be said to be would be sent again.
            asked::SEND if !self.may_tell(f as u32) => BrokerOutcome::Answer(NO_PLACE, None),
            asked::SEND => {
                let outcome = self.send(a, b as i32, Shape::of(c), d, (e, f, true), copied);
                if let BrokerOutcome::Says([sent, ..]) = outcome
                    && sent as i64 >= 0
                    && copied.lengths.try_push((e, sent as u32)).is_err()
                {
                    return BrokerOutcome::Nonsense;
                }
                outcome
            }
            asked::SEND_LATER => self.send(a, b as i32, Shape::of(c), d, (e, f, false), copied),
            asked::BIND => self.bind(a, b, c, copied),
            asked::LISTEN => self.listen(a, b as i32, c),
            asked::SET => self.set(a, (b as i32, c as i32), d, e, copied),
            asked::NAME => self.name(a, b, c),
            asked::OWN => {
                let text = copied.text(self.desk, 16).unwrap_or_default();
                let ip = match (a, text.first_chunk::<4>(), text.first_chunk::<16>()) {
                    (4, Some(bytes), _) => IpAddr::from(*bytes),
                    (6, _, Some(bytes)) => IpAddr::from(*bytes),
                    _ => return BrokerOutcome::Nonsense,
                };
                BrokerOutcome::Answer(sys::is_own(ip).map_or(-1, i64::from), None)
            }
            asked::WRITE => {
                let text = c.checked_add(d).and_then(|len| copied.text(self.desk, len));
                let Some((fields, line)) = text.and_then(|text| text.split_at_checked(c as usize)) else {
                    return BrokerOutcome::Nonsense;
                };
                let priority = (a as u8).min(7);
                let is_taken = sink::write_of_judge(&in_force::policy(), priority, b, line, fields);
                BrokerOutcome::Answer(i64::from(is_taken), None)
            }
            asked::DONE => self.done(a, b as i64),
            _ => BrokerOutcome::Nonsense,
        }
    }

    /// Takes the decision on the current call.
    fn done(&self, what: u64, result: i64) -> BrokerOutcome {
        match what {
            // Otherwise the call would never be answered.
            NOBODY if self.awaited.get() || !matches!(self.at, JudgeActivity::Call { .. }) || !self.still_waits() => {
                BrokerOutcome::Done(None)
            }
            GO_ON => BrokerOutcome::Done(Some(Reply::GoOn)),
            RESULT if (-ERRNO_MAX..LATER).contains(&result) => BrokerOutcome::Done(Some(Reply::Result(result))),
            _ => BrokerOutcome::Nonsense,
        }
    }

    fn open(&self, thread: u32, name: &[u8], is_place: bool) -> BrokerOutcome {
        let is_callers = match self.at {
            JudgeActivity::Call { thread: caller, .. } => {
                thread == caller || self.caller().is_some_and(|(_, process)| process == thread)
            }
            JudgeActivity::Worker(worker, _) => worker == thread,
            JudgeActivity::Nothing => false,
        };
        let Some(flags) = opens(name, is_place, is_callers) else { return failed(libc::EPERM) };
        if is_callers && !self.still_waits() {
            return failed(libc::ESRCH);
        }
        let path = procfs::proc_path(thread, name);
        match or_as_user(thread, || sys::open(libc::AT_FDCWD, path.c_str(), flags, 0).ok()) {
            // Of other processes, only what all users can read.
            Some(file) if !is_callers || self.still_waits() => BrokerOutcome::Answer(0, Some(file)),
            Some(_) => failed(libc::ESRCH),
            None => failed(libc::EACCES),
        }
    }

    /// Whether this is a directory of the caller in /proc.
    fn is_callers(&self, folder: &Fd) -> bool {
        let (Some((thread, process)), Some(wanted)) = (self.caller(), sys::fstat(folder.0)) else { return false };
        let is_it = |name: &[u8]| {
            let path = procfs::proc_path(process, name);
            let own = sys::open(libc::AT_FDCWD, path.c_str(), libc::O_PATH, 0).ok();
            own.and_then(|own| sys::fstat(own.0)).is_some_and(|own| own.identity == wanted.identity)
        };
        let mut task = StringBuf::<32>::of(b"task/");
        task.number(u64::from(thread));
        let is_threads = is_it(task.bytes());
        task.push(b"/fd");
        (is_threads || is_it(task.bytes()) || is_it(b"fd") || is_it(b"")) && self.still_waits()
    }

    /// Opens a link of the kernel's with O_PATH, in a directory of the caller only.
    fn follow(&self, folder: &Fd, name: &[u8]) -> BrokerOutcome {
        let text = StringBuf::<64>::of(name);
        let is_name = text.fits() && !name.contains(&b'/') && !name.contains(&0);
        if !is_name || sys::filesystem(folder.0) != Some(sys::PROC) || !sys::is_magic_link(folder.0, text.c_str()) {
            return failed(libc::EPERM);
        }
        if !self.is_callers(folder) {
            return failed(libc::EACCES);
        }
        match sys::open(folder.0, text.c_str(), libc::O_PATH, 0) {
            Ok(place) => BrokerOutcome::Answer(0, Some(place)),
            Err(errno) => failed(errno),
        }
    }

    /// Takes note of a descriptor that a broker after this one has to close; -1 for none.
    fn note_lent(&self, place: usize, own: i32) {
        if let Some(noted) = self.shared.lent.get(place) {
            noted.store(own.wrapping_add(1), Ordering::Relaxed);
        }
    }

    fn borrow(&mut self, number: i32) -> BrokerOutcome {
        let Some(free) = self.lent.iter().position(Option::is_none) else { return failed(libc::EMFILE) };
        let JudgeActivity::Call { thread, .. } = self.at else { return BrokerOutcome::Nonsense };
        let place = (self.shared.place.load(Ordering::Relaxed) as usize).wrapping_sub(1);
        if !self.shared.left.may_borrow(place) {
            return failed(libc::EPERM);
        }
        if !self.still_waits() {
            return failed(libc::ESRCH);
        }
        // Most threads are the first of their process, which the kernel says.
        let lent = match sys::borrow(thread, thread, number) {
            Err(errno @ (libc::EINVAL | libc::ENOENT | libc::ESRCH)) => match self.caller() {
                Some((_, process)) if process != thread => sys::borrow(process, thread, number),
                _ => Err(errno),
            },
            lent => lent,
        };
        let lent = match lent {
            Ok(lent) => lent,
            Err(errno) => return failed(errno),
        };
        // The process may have ended, and another one may have its number.
        if !self.still_waits() {
            return failed(libc::ESRCH);
        }
        let own = lent.0;
        if let Some(place) = self.lent.get_mut(free) {
            *place = Some((number, lent));
        }
        self.note_lent(free, own);
        BrokerOutcome::Lends(free as i64, own)
    }
}

/// Room for the control messages of a message.
pub const CONTROL_MAX: usize = 256;

/// The address on the desk.
fn address(desk: &Desk, len: u64, copied: &mut BrokerCopy) -> Option<([u8; ADDRESS_MAX], usize)> {
    let len = usize::try_from(len).ok().filter(|len| *len <= ADDRESS_MAX)?;
    let bytes = copied.text(desk, ADDRESS_MAX as u64)?.first_chunk()?;
    Some((*bytes, len))
}

#[cfg(test)]
mod tests {
    use super::opens;

    #[test]
    fn only_the_caller_is_looked_into() {
        for name in ["mem", "maps", "environ"] {
            assert_eq!(opens(name.as_bytes(), false, true), Some(libc::O_RDONLY));
            assert_eq!(opens(name.as_bytes(), false, false), None);
            assert_eq!(opens(name.as_bytes(), true, true), None);
        }
        for name in ["root", "cwd", "ns/mnt", "map_files/7f0-7f1", "task/12", ""] {
            assert_eq!(opens(name.as_bytes(), true, true), Some(libc::O_PATH));
            assert_eq!(opens(name.as_bytes(), true, false), None);
            assert_eq!(opens(name.as_bytes(), false, true), None);
        }
        for name in ["status", "stat", "task/12/children"] {
            assert_eq!(opens(name.as_bytes(), false, false), Some(libc::O_RDONLY));
        }
        for name in
            ["../1/mem", "fd/3", "task/../../1/mem", "task/1/mem", "map_files/../mem", "task//children", "syscall"]
        {
            assert_eq!(
                (opens(name.as_bytes(), false, true), opens(name.as_bytes(), true, true)),
                (None, None),
                "{name}"
            );
        }
    }
}
