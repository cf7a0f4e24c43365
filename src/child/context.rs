//! Writes the variables of Portcullis for a new program: PORTCULLIS_CONTEXT and PORTCULLIS_REQUEST.

use crate::child::environment::New;
use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::policy::load;
use crate::process::home;
use crate::process::state::{self, Role};
use crate::report::chain;
use crate::request::ServedRequest;
use crate::server::pools;
use crate::sys;
use portcullis_policy::BackstopKind;
use portcullis_policy::overlay;
use portcullis_request::context::{self, Finds, HANDED, Handed, Inherited, Tree};
use portcullis_request::environment::{CONTEXT, REQUEST};

/// A buffer for PORTCULLIS_CONTEXT.
pub type Context = StringBuf<1280>;

/// Announces to the supervisor that this process is about to execute the program `name` without the library, and for which request:
/// the supervisor does not trust the environment of such a program.
#[inline(never)]
pub fn announce(request: &[u8], name: &[u8], served: &ServedRequest) {
    if in_force::policy().backstop().kind == BackstopKind::Supervise {
        sys::announce(request, chain::of_new(name, served).bytes());
    }
}

/// The variable of the request for a program that this process starts.
pub fn compose_request<const N: usize>(text: &mut StringBuf<N>, served: &ServedRequest) {
    text.push(REQUEST);
    portcullis_request::wire::write(&served.request, served.id(), |bytes| text.push(bytes));
}

/// The variable for a program that this process starts.
pub fn compose(text: &mut Context, new: &New<'_>, injected: bool, served: &ServedRequest) {
    let role = if state::role() == Role::Master { Role::Master } else { Role::Descendant };
    let chain = chain::of_new(new.name, served);
    let tried = load::tried();
    let (reported, image, finds) = (state::reported(), new.image, new.finds);
    with_tree(|tree| {
        let handed = new.handed;
        // A master that does not get the policy in memory compiles it again.
        let tried = if load::is_in_memory() { 0 } else { tried };
        write(
            text,
            &Inherited { role, finds, handed, injected, reported, tried, image, ..with_chain(chain.bytes(), tree) },
        );
    });
}

/// The variable for the supervisor, which gets these descriptors.
pub fn compose_supervisor(handed: Handed) -> Context {
    let mut text = StringBuf::new();
    with_tree(|tree| write(&mut text, &Inherited { handed, ..with_chain(b"supervisor", tree) }));
    text
}

/// Calls `go` with the facts of this process tree's policy; if this process cannot use the policy, with the facts that it inherited.
fn with_tree(go: impl FnOnce(Tree<'_>)) {
    let policy = in_force::policy();
    let modes = overlay::digits(&policy);
    let log = policy.log_file();
    let log = log.strip_suffix(&[0]).unwrap_or(log);
    let log = if log.len() < in_force::LOG_MAX && !log.contains(&b';') { log } else { b"" };
    let (sinks, file, digest) = (policy.sinks(), in_force::policy_marks(), policy.digest());
    let mut text = StringBuf::<{ pools::TEXT_MAX }>::new();
    pools::write(&mut text);
    go(Tree { modes: &modes, sinks, file, digest, home: home::handed_down(), pools: text.bytes(), log });
}

/// The context of a program with this chain, from a process that has just started.
fn with_chain<'a>(chain: &'a [u8], tree: Tree<'a>) -> Inherited<'a> {
    let settled = state::settled();
    let (stderr, policy) = (settled.stderr, settled.policy_path.bytes());
    let (role, tree, handed) = (Role::Master, Some(tree), [[0; 3]; HANDED]);
    let (finds, image) = (Finds::Nothing, (0, 0));
    Inherited { role, finds, tree, handed, injected: true, reported: 0, tried: 0, stderr, image, policy, chain }
}

fn write(text: &mut Context, inherited: &Inherited<'_>) {
    text.push(CONTEXT);
    context::write(inherited, |bytes| text.push(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Guarding;

    #[test]
    fn what_is_composed_is_parsed() {
        let mut text = StringBuf::new();
        compose(
            &mut text,
            &New::of(b"sh", Guarding::Whole).running((5, 7), Finds::Shell),
            true,
            &ServedRequest::none(),
        );
        let inherited = context::parse(text.bytes().strip_prefix(CONTEXT).unwrap()).unwrap();
        assert_eq!(inherited.role, Role::Master);
        assert!(inherited.injected);
        assert_eq!((inherited.chain, inherited.image), (&b"sh"[..], (5, 7)));
        // A master has none.
        assert_eq!(inherited.finds, Finds::Nothing);
    }
}
