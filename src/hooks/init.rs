//! The constructor: finds the real functions, what was inherited and the policy. Also what a master repeats before it
//! forks.

use crate::child::{environment, handed};
use crate::hooks::deepbind;
use crate::judge::names;
use crate::judge::rings;
use crate::memory::{StringBuf, base_name};
use crate::policy::in_force;
use crate::policy::load;
use crate::process::state::{self, Role, Settled};
use crate::real::objects;
use crate::report::fallback;
use crate::report::{actor, counters, sink};
use crate::server::{listeners, pools};
use crate::sys::Which;
use crate::sys::procfs;
use crate::{backstop, judge, request, sys};
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_request::context::{self, Finds, HANDED, Inherited};

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(i32, *const *mut u8, *const *mut u8) = constructor;

/// glibc gives constructors the program's arguments and environment, as the kernel has put them: the one behind the other. Another libc may
/// give them nothing (musl): then the arguments are looked for before the environment.
#[cfg_attr(test, allow(dead_code))]
extern "C" fn constructor(count: i32, arguments: *const *mut u8, variables: *const *mut u8) {
    let behind = usize::try_from(count).map(|count| arguments.wrapping_add(count).wrapping_add(1));
    if count > 0 && !arguments.is_null() && behind == Ok(variables) {
        // SAFETY: the kernel's vector has that many entries.
        state::set_title(unsafe { *arguments });
    } else {
        state::set_title(environment::first_argument());
        if !crate::real::find::is_glibc() {
            state::set_other_libc();
        }
    }
    ensure();
}

/// The status with which a shell says that a program cannot be executed.
const CANNOT_EXECUTE: usize = 126;

static BEGUN: AtomicBool = AtomicBool::new(false);

/// The constructor; a hook that another library's constructor calls earlier runs it then.
pub extern "C" fn ensure() {
    if !BEGUN.swap(true, Ordering::AcqRel) {
        begin();
    }
}

/// Its own function, so that a hook that looks whether it was done needs no room for it.
#[cold]
#[inline(never)]
fn begin() {
    state::set_first_pid();
    let start = environment::start();
    // What has the guard's other variables was started by a hook, which gives every program a context.
    let is_handed = start.context.is_some() || start.request.is_some() || start.key.is_some();
    let context = start.context.unwrap_or_default();
    let inherited = context::parse(context).or(is_handed.then(|| Inherited::lost(context)));
    let mut behind = crate::real::find::LazySymbols::default();
    state::settle(|settled| {
        objects::walk(&mut |object, index| {
            deepbind::remember_startup(object, index, |own| library(settled, object.first, own));
            behind.see(object);
            true
        });
    });
    let is_descendant = inherited.as_ref().is_some_and(|inherited| inherited.role == Role::Descendant);
    if !is_descendant || !behind.suffices() {
        crate::real::find::resolve();
    }
    let tree = inherited.as_ref().and_then(|inherited| inherited.tree.as_ref());
    let handed = inherited.as_ref().map_or([[0; 3]; HANDED], |inherited| inherited.handed);
    let injected = inherited.as_ref().is_some_and(|inherited| inherited.injected);
    let fresh = inherited.as_ref().is_none_or(|inherited| inherited.chain.is_empty());
    state::set_role(inherited.as_ref().map_or(Role::Master, |inherited| inherited.role));
    state::set_finds(inherited.as_ref().map_or(Finds::Nothing, |inherited| inherited.finds));
    state::set_reported(inherited.as_ref().map_or(0, |inherited| inherited.reported));
    load::set_tried(inherited.as_ref().map_or(0, |inherited| inherited.tried));
    state::settle(|settled| {
        match &inherited {
            Some(inherited) if inherited.stderr != (0, 0) => settled.stderr = inherited.stderr,
            _ => settled.stderr = sys::fstat(2).map_or((0, 0), |stat| stat.identity),
        }
        match &inherited {
            Some(inherited) if !fresh => settled.chain.push(inherited.chain),
            _ => own_name(&mut settled.chain),
        }
        load::configuration(settled, start.config, inherited.as_ref().map_or(b"", |inherited| inherited.policy));
    });
    match is_descendant {
        true => environment::remember_loader(),
        false => environment::remember_start(),
    }
    let (key, master) = (start.key.map_or(0, context::number), start.supervise.map_or(0, context::number));
    environment::scrub(injected);
    if master != 0 {
        let lost = load::in_descendant(tree, &handed, sink::is_spoilt());
        backstop::supervisor::run(master as u32, lost);
    }
    handed::take_sinks(&handed);
    let policy = match state::role() {
        // The command that compiles the policy, in a unit whose environment is for all its programs, needs none.
        Role::Master if state::settled().chain.bytes() == b"portcullis" => None,
        Role::Master => load::in_master(fresh, tree, &handed),
        Role::Serving => load::in_serving(inherited.as_ref().is_some_and(|inherited| !inherited.policy.is_empty())),
        Role::Descendant => load::in_descendant(tree, &handed, sink::is_spoilt()),
    };
    match state::role() {
        // Without the policy, what it does is the supervisor's to judge: it gets no key.
        Role::Descendant if !in_force::is_lost() => backstop::inherit(key),
        Role::Descendant => backstop::ask(key),
        _ => {}
    }
    if state::role() == Role::Descendant {
        request::inherit(start.request);
        pools::inherit(tree.map_or(b"", |tree| tree.pools));
        crate::process::home::inherit(tree.map_or_else(Default::default, |tree| tree.home));
    } else {
        counters::share();
    }
    if fresh && state::role() == Role::Master {
        sink::hold(&in_force::policy());
    }
    state::set_ready();
    if !is_descendant {
        fallback::begin_sealing();
        // A program that another master was before has said it.
        if fresh {
            fallback::say_in_container();
        } else {
            fallback::said_in_container();
        }
    }
    fallback::report(policy);
    // A path that was judged may have led elsewhere when the kernel looked: what runs is what tells.
    if let Some(inherited) = &inherited
        && inherited.image != (0, 0)
        && sys::stat(procfs::proc_path(procfs::Whose::Own, b"exe").c_str())
            .is_some_and(|stat| stat.identity != inherited.image)
        && request::current(judge::replaced).is_err()
    {
        sys::exit(CANNOT_EXECUTE);
    }
    if state::role() == Role::Serving {
        names::settle();
        rings::serving();
        backstop::serving();
    }
}

/// Called before a fork: the child's events are of the same stream; a master looks whether its policy is still the
/// newest, and holds the sinks for its workers.
pub fn before_fork() {
    counters::share();
    if state::role() == Role::Serving {
        // The child's request has the same number.
        request::current(|served| served.id());
    }
    if state::role() != Role::Master || !state::ready() {
        return;
    }
    listeners::remember_all();
    actor::remember_master();
    fallback::report(load::verify_checksum_once());
    fallback::report(load::renew());
    backstop::before_fork();
    sink::hold(&in_force::policy());
    fallback::begin_sealing();
    fallback::say_in_container();
}

/// Notes the path of this library, as the loader has it, made absolute, and which file it is.
fn library(settled: &mut Settled, first: usize, own: &[u8]) {
    let own = environment::without_detour(own);
    let path = &mut settled.library;
    let mut buffer = [0; 512];
    if !own.starts_with(b"/") {
        path.push(sys::getcwd(&mut buffer));
        path.push(b"/");
    }
    path.push(own);
    settled.library_file = (sys::which(path.c_str()).unwrap_or(Which::UNKNOWN), first);
}

fn own_name(chain: &mut StringBuf<256>) {
    let mut buffer = [0; 512];
    let mut name = [0; 16];
    let executable = sys::readlink(procfs::proc_path(procfs::Whose::Own, b"exe").c_str(), &mut buffer);
    chain.push(if executable.is_empty() { sys::thread_name(&mut name) } else { base_name(executable) });
}
