//! Evaluates programs that are executed without the hooks, or by libc for a hook.

use super::answer::SupervisedCall;
use super::caller::not_executable;
use super::copied::{ROOM, StringsBuffer, Uncopied};
use super::expected::Program;
use super::records::Owner;
use super::subject;
use crate::action::Place;
use crate::action::{Decision, Exec, ExecTarget};
use crate::judge::{self, ExecClearance};
use crate::memory::StringBuf;
use crate::process::state::Role;
use crate::report::chain;
use crate::sys::Reader;
use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd, Reply};
use portcullis_policy::{Rule, Unknown, startup};
use portcullis_request::State;
use portcullis_request::environment::REQUEST;
use portcullis_request::wire::WIRE_MAX;

impl SupervisedCall<'_> {
    pub(super) fn execute(&self, at: i32, path: u64, argv: u64, envp: u64, flags: i32) -> Reply {
        let Some(room) = sys::allocate(ROOM) else { return self.cannot(Unknown::Arguments).into() };
        // SAFETY: a new mapping of that size, which nobody else has.
        let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), ROOM) };
        let reply = self.execute_in(bytes, at, path, argv, envp, flags);
        sys::munmap(room, ROOM);
        reply
    }

    /// The decision on a program of which something is unknown. If it may run, its process is recorded without a program.
    fn cannot(&self, what: Unknown) -> Decision {
        let decision = self.with_actor(|actor| judge::unseen_program(actor, &self.subject.served, what));
        if decision.is_ok() {
            self.note(b"", b"", (0, 0));
        }
        decision
    }

    fn execute_in(&self, room: &mut [u8], at: i32, path: u64, argv: u64, envp: u64, flags: i32) -> Reply {
        let mut room = StringsBuffer::new(room, self.memory, self.width);
        let (arguments, read) = room.copy(argv, |_| true);
        let (mut unknown, mut faults) = (None, false);
        match read {
            Err(Uncopied::Unmapped) => faults = true,
            Err(Uncopied::Unknown) => unknown = Some(Unknown::Arguments),
            Ok(()) => {}
        }
        // Of the environment, only variables that influence a loader, a shell or an allowed program, and the request.
        let mut forged = false;
        let mut handed = StringBuf::<{ WIRE_MAX + 1 }>::new();
        let (environment, read) = room.copy(envp, |entry| {
            if let Some(value) = entry.strip_prefix(REQUEST) {
                let handed_down = self.subject.role == Role::Descendant && self.subject.inherited(value);
                // The hooks replace the request of the caller: this one is theirs.
                if self.subject.is_guarded {
                    handed.set(value);
                    // Without an announcement of the hooks, the caller made it.
                    let announced = subject::on_record(self.subject.pid, 0, self.with.records);
                    let is_theirs = announced.is_some_and(|record| record.request.bytes() == value);
                    forged |= !is_theirs && !self.subject.inherited(value);
                } else {
                    // If its request is unknown, the strictest policy applies, whatever the environment contains.
                    forged |= !handed_down && self.subject.served.request.state != State::Lost;
                }
            }
            startup::variable(entry, true).is_some()
        });
        match read {
            Err(Uncopied::Unmapped) => faults = true,
            // Without the environment, at least as much is unknown as without the arguments.
            Err(Uncopied::Unknown) => unknown = Some(Unknown::Environment),
            Ok(()) => {}
        }
        let mut name = [0; 4097];
        let path_at = path;
        let Some(path) = self.memory.string(path, &mut name) else {
            return match self.memory.is_hidden() {
                true => self.cannot(Unknown::Path).into(),
                false => self.fails(libc::EFAULT, &Rule::ALL),
            };
        };
        match path.len() {
            0 if flags & libc::AT_EMPTY_PATH == 0 => return self.fails(libc::ENOENT, &Rule::ALL),
            4096.. => return self.fails(libc::ENAMETOOLONG, &Rule::ALL),
            _ => {}
        }
        let mut copy = StringBuf::<4097>::new();
        copy.push(path);
        // A process with the secret gains nothing by changing the path: it could avoid this evaluation altogether.
        let Some(place) = Place::of(self.subject.pid, self.subject.thread, !self.subject.is_guarded) else {
            return self.cannot(Unknown::Program).into();
        };
        let open = || self.open(&place, at, &copy, flags);
        let file = match open() {
            Ok(file) => file,
            Err(Some(_)) => return self.absent(|| not_executable(open()), libc::EACCES),
            Err(None) => return self.cannot(Unknown::Program).into(),
        };
        let Some(stat) = sys::fstat(file.0) else { return self.cannot(Unknown::Program).into() };
        // Of a device or a FIFO nothing is read: the kernel executes none.
        match stat.mode & libc::S_IFMT {
            libc::S_IFLNK => return self.absent(|| not_executable(open()), libc::ELOOP),
            // The kernel opens the program before it reads its arguments; by the time that it does, they may be there.
            libc::S_IFREG if faults => return self.absent(|| not_executable(open()), libc::EFAULT),
            libc::S_IFREG => {}
            _ => return self.absent(|| not_executable(open()), libc::EACCES),
        }
        // The same file again, so that it can be read, and nothing else.
        let mut again = StringBuf::<32>::new();
        again.push(b"/proc/self/fd/");
        again.number(u64::from(file.0.cast_unsigned()));
        let readable = sys::open(libc::AT_FDCWD, again.c_str(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0);
        if readable.is_err() {
            unknown = unknown.or(Some(Unknown::Program));
        }
        if judge::enforces_programs(self.subject.served.scope) {
            place.note(!self.has_own(b"ns/mnt") || self.shares([path_at, argv, envp]));
            // The administrator of a user namespace can register formats of programs there (binfmt_misc, from Linux 6.7 on).
            if !self.has_own(b"ns/user") && !self.subject.is_guarded {
                unknown = unknown.or(Some(Unknown::Format));
            }
        }
        // Something is mounted over the path that the file has there.
        let mut buffer = [0; 4096];
        let mut real = StringBuf::<4097>::new();
        real.push(sys::readlink(again.c_str(), &mut buffer));
        if !self.is_at_home() && sys::stat(real.c_str()).is_none_or(|own| own.identity != stat.identity) {
            unknown = unknown.or(Some(Unknown::Path));
        }
        let strings = Reader::default();
        let arguments_of = || {
            let at = |index| Reader::default().pointer(arguments, index).filter(|argument| !argument.is_null());
            (0..).map_while(at).map(|argument| strings.string(argument, WIRE_MAX).unwrap_or_default())
        };
        // Evaluated here whatever was announced, but a call has one event.
        let program = Program { call: self.id, worker: self.worker, file: stat.identity, path };
        self.told.set(unknown.is_none() && self.with.expected.has(self.subject, &program, arguments_of()));
        let file = readable.unwrap_or(file);
        let standard = [0, 1, 2].map(|number| self.borrow(number));
        let exec = Exec {
            target: ExecTarget::Descriptor(file.0),
            searched: None,
            argv: arguments,
            envp: environment,
            forged,
            standard: [standard[0].0, standard[1].0, standard[2].0],
            shell_fallback: false,
            replaces: true,
            unknown,
        };
        let decision = self.with_actor_in(Some(&place), |actor| judge::exec(actor, &self.subject.served, &exec));
        match (&decision, unknown) {
            // The kernel could run it, if it changes before the kernel looks it up.
            (Ok(ExecClearance::Absent(_)), None) => {
                let interpreter = || self.with_actor_in(Some(&place), |actor| judge::absent(actor, &exec));
                return self.absent(|| not_executable(open()).or_else(|| Some(interpreter())), libc::EACCES);
            }
            (Ok(ExecClearance::Absent(_)), Some(what)) => return self.cannot(what).into(),
            (Ok(ExecClearance::Start(start)), _) => self.note(handed.bytes(), exec.name().bytes(), start.runs),
            (Err(_), _) => {}
        }
        decision.into()
    }

    /// Records a process that is about to run another program; `handed` is what its hooks pass on.
    fn note(&self, handed: &[u8], name: &[u8], runs: (u64, u64)) {
        let subject = self.subject;
        let Some(start) = subject::start_of(subject.pid) else { return };
        let chain = chain::from(subject.chain.bytes(), name);
        let mut own = StringBuf::<{ WIRE_MAX + 1 }>::new();
        let served = &subject.served;
        portcullis_request::wire::write(&served.request, served.id(), |bytes| own.push(bytes));
        let request = if handed.is_empty() { own.bytes() } else { handed };
        let images = subject::image_of(subject.thread).filter(|_| runs != (0, 0)).map(|now| [now, runs]);
        let owner = Owner::of(self.worker, request);
        self.with.records.put(subject.pid, start, owner, request, chain.bytes(), images.unwrap_or_default());
    }

    /// The file of a program, as its process finds it: in its own root, working directory and mounts. An errno if the kernel
    /// finds none either; `Err(None)` where this process cannot look.
    fn open(&self, place: &Place, at: i32, path: &StringBuf<4097>, flags: i32) -> Result<Fd, Option<i32>> {
        let folder = match at {
            libc::AT_FDCWD => None,
            _ if path.bytes().starts_with(b"/") => None,
            at => Some(self.borrow(at)).filter(|folder| folder.0 >= 0).map(Some).ok_or(None)?,
        };
        match (path.bytes(), folder) {
            (b"", folder) => folder.ok_or(None),
            (_, folder) => place.open(folder.as_ref(), path.c_str(), flags & libc::AT_SYMLINK_NOFOLLOW == 0),
        }
    }

    /// Whether what /proc has of the process by this name is this process's own.
    fn has_own(&self, name: &[u8]) -> bool {
        let of = |whose: Whose| procfs::proc_stat(whose, name).map(|stat| stat.identity);
        let own = of(Whose::Own);
        own.is_some() && own == of(Whose::Of(self.subject.thread))
    }

    /// Whether the process has this one's root and mounts.
    fn is_at_home(&self) -> bool {
        [&b"root"[..], b"ns/mnt"].into_iter().all(|name| self.has_own(name))
    }
}
