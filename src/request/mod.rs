//! The request that the calling thread serves: read in passing, told by a module, inherited, or found in a CGI environment.

pub mod api;
pub mod cgi;
mod handed_down;
mod passing;
mod peer;
mod slot;

pub use handed_down::{HandedDownCopy, publish};
pub use passing::{ReceivedRequest, accepted, fed, idle, looked_at, refused};
pub use slot::{PUBLISHED_MAX, SLOTS_MAX, ServedRequest, current, inherit, scope, slots_address, watched};

use crate::policy::in_force;
use crate::process::state::{self, Role};
use crate::sys::Vector;
use portcullis_policy::vhost::{Key, UnreadKeys, VhostQuery};
use portcullis_policy::{GLOBAL_SCOPE, STRICTEST_SCOPE};
use portcullis_request::{Field, Request, State, normalise};

/// Calls `look` with the request for which a program with the environment `envp` is started: that of the thread, or
/// where it has none, the one that a server writes into the environment of a CGI program.
pub fn for_exec<R>(envp: Vector, look: impl FnOnce(&ServedRequest) -> R) -> R {
    current(|served| {
        if served.request.state == State::None && state::role() == Role::Serving {
            return for_cgi(envp, served, look);
        }
        look(served)
    })
}

/// Its own function, so that the room for another request is taken from the stack only here.
#[inline(never)]
fn for_cgi<R>(envp: Vector, served: &ServedRequest, look: impl FnOnce(&ServedRequest) -> R) -> R {
    let Some(request) = cgi::request(envp) else { return look(served) };
    state::recognised();
    let mut found = ServedRequest::none();
    found.request = request;
    found.by_server = cgi::is_of_server();
    found.settle();
    look(&found)
}

/// The scope of the policy that holds for a request, and the virtual host's number. A request of which a value is not known
/// that decides on its virtual host becomes unknown, and so is judged by the strictest scope.
pub fn settle_scope(request: &mut Request) -> (u32, Option<u32>) {
    let policy = in_force::policy();
    match request.state {
        State::None => return (GLOBAL_SCOPE, None),
        State::Unknown | State::Lost => return (STRICTEST_SCOPE, None),
        State::Known => {}
    }
    let (mut script, mut root) = (None::<Field<512>>, None::<Field<512>>);
    let mut name = [0; 256];
    let server_name = bare_name(request.server_name.whole(), &mut name);
    let document_root = normalise(request.document_root.whole(), &mut root);
    let script = normalise(request.script.whole(), &mut script);
    let (pool, profile) = (request.pool.whole(), request.profile.whole());
    // A value that was cut, or that cannot be compared.
    let unknown = UnreadKeys::none()
        .with(Key::Name, server_name.is_empty() && !request.server_name.is_empty())
        .with(Key::Root, document_root.is_empty() && !request.document_root.is_empty())
        .with(Key::Script, script.is_empty() && !request.script.is_empty())
        .with(Key::Pool, request.pool.is_cut())
        .with(Key::Profile, request.profile.is_cut());
    let asked = VhostQuery { server_name, source: request.source as u8, document_root, script, pool, profile };
    match policy.vhost_of(&asked, unknown) {
        Ok(Some(vhost)) => (policy.vhost_scope(vhost).0, Some(vhost)),
        Ok(None) => (GLOBAL_SCOPE, None),
        Err(_) => {
            request.state = State::Unknown;
            (STRICTEST_SCOPE, None)
        }
    }
}

/// A server's name in lower case, without a port and a dot at its end.
fn bare_name<'b>(name: &[u8], into: &'b mut [u8; 256]) -> &'b [u8] {
    let bare = match name.iter().rposition(|&byte| byte == b':') {
        // A v6 address in brackets has colons too.
        Some(colon) if name.last() != Some(&b']') => name.get(..colon).unwrap_or(name),
        _ => name,
    };
    let bare = bare.strip_suffix(b".").unwrap_or(bare);
    let Some(to) = into.get_mut(..bare.len()) else { return &[] };
    to.copy_from_slice(bare);
    to.make_ascii_lowercase();
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_comparable() {
        for (name, bare) in [
            ("Shop.Example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(bare_name(name.as_bytes(), &mut [0; 256]), bare.as_bytes());
        }
    }
}
