//! The judgement on a program that is about to be started.

use super::{inherited, is_on, on_connection, peers};
use crate::action::Place;
use crate::action::{Actor, Arguments, Decision, Exec, ExecTarget, Guarding, Refused};
use crate::child::environment;
use crate::judge::program::{self, Program, SETUID, ScriptLine, Starter};
use crate::memory::{StringBuf, base_name};
use crate::policy::in_force;
use crate::process::state::{self, Finds, Role};
use crate::report::{actor, counters, emit};
use crate::request::ServedRequest;
use crate::sys::Reader;
use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd, Stat};
use portcullis_event::ARGS_SHOWN;
use portcullis_policy::exec::{MISSING, SANITIZER};
use portcullis_policy::{Mode, Outcome, Rule, Unknown};

/// How the exec of a program that is not refused goes on.
#[allow(clippy::large_enum_variant, reason = "there is no allocator to box it by")]
pub enum ExecClearance {
    /// The kernel does not run it, and this is its errno. It is not asked again: by now it might.
    Absent(i32),
    /// It is started.
    Start(Start),
}

/// A program that was judged and is to be started.
pub struct Start {
    /// How much of the guard it gets.
    pub guarding: Guarding,
    /// Device and inode that the new process must have as its program; zeros where they are not known.
    pub image: (u64, u64),
    /// Device and inode of what the kernel will run; zeros where they are not known.
    pub runs: (u64, u64),
    /// It was judged as what sh runs: execvp and its kin do that where the kernel does not know its format.
    pub as_shell: bool,
    /// What it only finds, for a script that was judged.
    pub finds: Finds,
    judged: Option<Stat>,
    actor: Option<Fd>,
    /// It is a script, and `by` is the interpreter that this line of it names.
    pub line: Option<ScriptLine>,
}

impl Start {
    /// What is not looked at: of a master.
    pub fn unchecked() -> Start {
        Start {
            guarding: environment::guarding(),
            image: (0, 0),
            runs: (0, 0),
            as_shell: false,
            finds: Finds::Nothing,
            judged: None,
            actor: None,
            line: None,
        }
    }

    /// Device and inode of the file that was judged; `None` where they are not known.
    pub fn file(&self) -> Option<(u64, u64)> {
        self.judged.map(|stat| stat.identity)
    }

    /// Whether `target` still is the file that was judged.
    pub fn still_is(&self, target: &ExecTarget<'_>) -> bool {
        let Some(judged) = self.judged else { return true };
        let now = match *target {
            ExecTarget::Path(at, path) => sys::stat_at(at, path).ok(),
            ExecTarget::Descriptor(fd) => sys::fstat(fd),
        };
        now.is_some_and(|now| now.identity == judged.identity && now.ctime == judged.ctime)
    }

    /// The descriptor of the judged file, or of its interpreter, where it is to be run by that: what takes its place might be a
    /// program without the guard, and nobody would see it.
    pub fn by_descriptor(&self) -> Option<i32> {
        self.actor.as_ref().map(|file| file.0)
    }
}

/// Judges a program that is started for a request.
#[inline(never)]
pub fn exec(actor: Actor<'_>, served: &ServedRequest, exec: &Exec<'_>) -> Decision<ExecClearance> {
    let policy = in_force::policy();
    if matches!(actor, Actor::This) && state::role() == Role::Master {
        return Ok(ExecClearance::Start(Start::unchecked()));
    }
    let strings = Reader::default();
    let Some(arguments) = Arguments::read(&strings, exec.argv) else {
        return Ok(ExecClearance::Absent(fault(actor, &exec.target)));
    };
    let place = match actor {
        Actor::This | Actor::Again => None,
        Actor::Other(other) => other.place,
    };
    let mut program = Program::none(place);
    let enforced = PROGRAM_RULES.into_iter().any(|rule| policy.mode(served.scope, rule) == Mode::Enforce);
    let starter = match actor {
        Actor::This | Actor::Again => Starter::this(),
        Actor::Other(other) => Starter::other(other.thread, other.user.0),
    };
    program.starter = is_on(&policy, served.scope, Rule::ExecPlace).then_some(starter);
    match find(&mut program, exec, &arguments) {
        // By its file actions, a new process may have what this one has not.
        Err(errno) if exec.unknown != Some(Unknown::FileActions) => {
            return Ok(ExecClearance::Absent(if program.is_script { absent(actor, exec) } else { errno }));
        }
        _ => {}
    }
    // By the time that the kernel looks, somebody may have put another file there.
    if place.is_some_and(Place::may_change) {
        program.cannot(Unknown::Replaced);
    }
    let as_shell = exec.shell_fallback && program.unknown_format;
    // What another process starts without the hooks has no library in any case.
    let is_there = program.is_of_other_width() || matches!(actor, Actor::Other(_)) || environment::library_is_there();
    let would_load = program.unguarded.is_empty() || program.has_own_loader;
    if !is_there && would_load && (as_shell || !program.unknown_format) {
        program.unguarded = MISSING;
    }
    let guarding = match (program.is_of_other_width() || !is_there, program.unguarded) {
        (true, _) => Guarding::None,
        (false, "") => Guarding::Whole,
        (false, SANITIZER) => Guarding::None,
        (false, SETUID) => Guarding::Handed,
        (false, _) => Guarding::Passed,
    };
    if as_shell {
        program.push(b"sh");
    } else if program.unknown_format {
        program.cannot(Unknown::Format);
    }
    // What the supervisor judges, it does not start.
    let has_no_name = program.is_script && !(program.interpreter.is_some() && is_named(&exec.target));
    let replaceable = (enforced || has_no_name) && matches!(actor, Actor::This) && !is_fixed(&starter, &exec.target);
    if replaceable && has_no_name {
        program.cannot(Unknown::Replaced);
    }
    let path = match (exec.searched, exec.target) {
        (Some(name), _) => name.to_bytes(),
        (None, ExecTarget::Path(_, path)) => path.to_bytes(),
        (None, ExecTarget::Descriptor(_)) => program.real.bytes(),
    };
    let (words, count) = arguments.with_first(path);
    let form = arguments.command();
    let mut detail = StringBuf::<256>::new();
    let mut on_connection = false;
    if is_on(&policy, served.scope, Rule::StdioSocket) {
        for (number, fd) in exec.standard.into_iter().enumerate() {
            on_connection |= self::on_connection(fd, number as i32, &mut detail);
        }
    }
    let is_allowed = |value: &[u8]| policy.is_loaded(served.scope, value);
    let loader = match is_on(&policy, served.scope, Rule::LoaderEnv) {
        true if exec.forged => {
            detail.push(b"the guard's own variables");
            Some(None)
        }
        true if program.loads_library => {
            detail.push(b"the loader's own arguments");
            Some(None)
        }
        true => environment::foreign_loader(&strings, exec.envp, is_allowed, &mut detail),
        false => None,
    };
    let writable = program.is_own();
    let is_gateway = served.by_server
        && matches!(actor, Actor::This | Actor::Again)
        && runs_script(served, &starter, &arguments, path);
    // What env(1) executes for a script was judged with the script, but for where that is.
    let finds = match (actor, exec.replaces) {
        (Actor::This, true) => state::finds(),
        _ => Finds::Nothing,
    };
    let is_what_was_named = || {
        let real = base_name(program.real.bytes());
        is_version_of(real, base_name(path)) || (finds == Finds::Shell && policy.is_shell(served.scope, &[real]))
    };
    let finds = if program.of_system() && is_what_was_named() { finds } else { Finds::Nothing };
    let was_judged = finds != Finds::Nothing;
    let is_interpreter = is_gateway || was_judged;
    let is_judged_shell = finds == Finds::Shell;
    counters::decision();
    let (verdict, finds) = program.with_names(|names| {
        let finds = match program.is_found {
            true if policy.is_shell(served.scope, names) => Finds::Shell,
            true => Finds::Interpreter,
            false => Finds::Nothing,
        };
        let program = portcullis_policy::exec::ExecutedProgram {
            names: if is_judged_shell { &[] } else { names },
            own_names: if is_interpreter { 0 } else { program.own_names },
            is_script: program.is_script || is_interpreter,
            command: form.flatten().filter(|_| program.of_system()),
            words: match form {
                Some(_) => None,
                None => words.get(..count),
            },
            path: program.real.bytes(),
            of_system: program.of_system(),
            identity: if is_judged_shell { (0, 0) } else { program.identity },
            build_id: if is_judged_shell { b"" } else { program.build_id() },
            writable,
            on_connection: on_connection && !was_judged,
            loader,
            unguarded: program.unguarded,
            unknown: exec.unknown.or(program.unknown),
        };
        let environment = |bare| environment::steering(exec.envp, bare, is_allowed, &mut detail);
        (policy.decide_exec_in(served.scope, &program, environment), finds)
    });
    if actor.writes(verdict.outcome, true) {
        emit::exec(
            &policy,
            verdict,
            served,
            actor,
            exec,
            program.real.bytes(),
            program.unguarded,
            &arguments,
            detail.bytes(),
        );
    }
    match verdict.outcome {
        Outcome::Deny => return Err(Refused::with(policy.errno(served.scope, verdict.rule))),
        _ if peers::is_watched() && matches!(actor, Actor::This) => inherited(served),
        _ => {}
    }
    Ok(ExecClearance::Start(Start { finds, ..start(program, guarding, as_shell, replaceable && enforced) }))
}

/// Whether a program with this real name is the one that is called so, or a version of it: the name is the script's, but PATH, and a
/// link there, are its caller's.
fn is_version_of(real: &[u8], called: &[u8]) -> bool {
    let version = real.strip_prefix(called).filter(|_| !called.is_empty());
    version.is_some_and(|version| version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}

/// Whether a web server runs the script of a request by the interpreter that its configuration names (lighttpd's `cgi.assign`, Apache's
/// `Action`), and with nothing more. It is that script, as one that names its interpreter itself is. Not one that the server could
/// have written: that anybody may have uploaded.
#[cold]
#[inline(never)]
fn runs_script(served: &ServedRequest, starter: &Starter, arguments: &Arguments<'_>, path: &[u8]) -> bool {
    let script = served.request.script.whole();
    let is_named = match arguments.words() {
        [_] => path == script,
        [_, first] => *first == script,
        _ => false,
    };
    let is_hidden = base_name(script).starts_with(b".");
    is_named && script.starts_with(b"/") && !is_hidden && !program::is_own_script(starter, script)
}

/// What the kernel says of a program whose arguments cannot be read: first it looks for the program.
#[cold]
fn fault(actor: Actor<'_>, target: &ExecTarget<'_>) -> i32 {
    match (actor, *target) {
        (Actor::This | Actor::Again, ExecTarget::Path(at, path)) => sys::execute_nothing(at, path),
        (Actor::This | Actor::Again, ExecTarget::Descriptor(fd)) => sys::execute_nothing(fd, c""),
        (Actor::Other(_), _) => libc::EFAULT,
    }
}

/// How a program that was judged is started. The guard in it compares, but what takes its place may have none: so what can be
/// replaced is run by the descriptor. A script's interpreter would not find the script then: the interpreter is run so, with
/// the arguments that the kernel would give it. In audit nothing is, for the program would see it.
fn start(program: Program<'_>, guarding: Guarding, as_shell: bool, replaceable: bool) -> Start {
    let judged = (program.stat != Stat::default()).then_some(program.stat);
    let runs = if program.unknown_format { (0, 0) } else { program.image };
    let image = if matches!(guarding, Guarding::Whole) { program.image } else { (0, 0) };
    let (actor, line) = match (replaceable, program.is_script, program.interpreter.is_some()) {
        (false, ..) | (true, true, false) => (None, None),
        _ => program.into_file(),
    };
    Start { guarding, image, runs, as_shell, finds: Finds::Nothing, judged, actor, line }
}

/// Whether nobody but root can change which file a target is.
fn is_fixed(starter: &Starter, target: &ExecTarget<'_>) -> bool {
    match *target {
        ExecTarget::Path(at, path) => starter.is_fixed(at, path),
        ExecTarget::Descriptor(_) => false,
    }
}

/// Whether an interpreter finds a script by the name that the target has.
fn is_named(target: &ExecTarget<'_>) -> bool {
    matches!(*target, ExecTarget::Path(at, path) if at == libc::AT_FDCWD || path.to_bytes().starts_with(b"/"))
}

/// The rules on which program it is.
const PROGRAM_RULES: [Rule; 4] = [Rule::ShellSpawn, Rule::ExecPlace, Rule::ExecTool, Rule::ExecUnguarded];

/// Whether a rule refuses anything in a scope that has to know which program it is.
pub fn enforces_programs(scope: u32) -> bool {
    let policy = in_force::policy();
    let is_about = |rule: &Rule| Unknown::Replaced.rules() & rule.bit() != 0;
    Rule::ALL.into_iter().filter(is_about).any(|rule| policy.mode(scope, rule) == Mode::Enforce)
}

/// Judges a program of which something is not known once it was judged: it was replaced, again and again; it is this process.
pub fn unknown_exec(served: &ServedRequest, exec: &Exec<'_>, what: Unknown) -> Decision {
    let strings = Reader::default();
    unjudged(served, exec, what, || Arguments::read(&strings, exec.argv).unwrap_or(Arguments::none()))
}

fn unjudged<'a>(
    served: &ServedRequest,
    exec: &Exec<'_>,
    what: Unknown,
    arguments: impl FnOnce() -> Arguments<'a>,
) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_unknown(served.scope, what, u16::MAX);
    if verdict.outcome == Outcome::Allow {
        return Ok(());
    }
    let mut program = Program::none(None);
    if let ExecTarget::Descriptor(fd) = exec.target {
        program.real.fill(|buffer| sys::readlink(procfs::proc_descriptor(fd).c_str(), buffer).len());
    }
    emit::exec(&policy, verdict, served, Actor::This, exec, program.real.bytes(), program.unguarded, &arguments(), b"");
    match verdict.outcome {
        Outcome::Deny => Err(Refused::with(policy.errno(served.scope, verdict.rule))),
        _ => Ok(()),
    }
}

/// Judges this process, whose program is another than the one that was judged.
#[cold]
pub fn replaced(served: &ServedRequest) -> Decision {
    let (mut room, mut args) = (actor::ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let own = actor::facts(sys::now(), Whose::Own, None, &mut room, &mut args);
    let path = match own.executable {
        b"" => StringBuf::<512>::of(b"/proc/self/exe"),
        executable => StringBuf::of(executable),
    };
    let exec = Exec {
        target: ExecTarget::Path(libc::AT_FDCWD, path.c_str()),
        searched: None,
        unknown: None,
        argv: core::ptr::null(),
        envp: core::ptr::null(),
        forged: false,
        standard: [0, 1, 2],
        shell_fallback: false,
        replaces: true,
    };
    unjudged(served, &exec, Unknown::Replaced, || Arguments::of(own.args))
}

/// The errno with which the kernel does not run a program. What cannot be read of its arguments and environment cannot be read by the
/// kernel either, which opens the program before, and finds a script's interpreter after; by now it might be readable.
#[cold]
pub fn absent(actor: Actor<'_>, exec: &Exec<'_>) -> i32 {
    let place = match actor {
        Actor::This | Actor::Again => None,
        Actor::Other(other) => other.place,
    };
    let strings = Reader::default();
    let (arguments, mut program) = (Arguments::read(&strings, exec.argv), Program::none(place));
    let is_readable = arguments.is_some() && Arguments::read(&strings, exec.envp).is_some();
    match find(&mut program, exec, arguments.as_ref().unwrap_or(&Arguments::none())) {
        Err(errno) if is_readable || !program.is_script => errno,
        _ if !is_readable => libc::EFAULT,
        // It may not be looked at, or has come in between.
        _ => libc::EACCES,
    }
}

/// Finds the program that the kernel would start; its errno where it would start none.
fn find(program: &mut Program<'_>, exec: &Exec<'_>, arguments: &Arguments<'_>) -> Result<(), i32> {
    match exec.target {
        // By nobody: it is no program, whatever else it is.
        ExecTarget::Path(at, path) if !sys::may_execute(at, path) => Err(libc::EACCES),
        ExecTarget::Path(at, path) => program.find(at, path, arguments.words()),
        ExecTarget::Descriptor(fd) => program.of_descriptor(fd, arguments.words()),
    }
}
