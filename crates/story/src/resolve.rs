//! Whose an event is: by its request, or by the tree of programs that it is in.

use crate::Event;
use crate::recent::Recent;
use crate::trail::{Key, stable};
use portcullis_event::field;

/// So many requests and processes are remembered at least.
const REMEMBERED: usize = 50_000;
/// A process number is the same process for so long, in nanoseconds.
const PROCESS_TIME: i64 = 24 * 3600 * 1_000_000_000;

/// Whose an event is.
pub struct Resolved {
    /// The trail that it is of.
    pub key: Key,
    /// Another trail of the same request.
    pub other: Option<Key>,
    /// Its request, as a hash.
    pub request: Option<u64>,
}

/// Finds out whose events are, in their order.
pub struct Resolver {
    requests: Recent<Key>,
    processes: Recent<(Key, i64)>,
}

/// How the names of virtual hosts begin that `contain` makes: the site of one is what it was before.
pub const CONTAINED: &str = "contain-";

/// The site of an event: the virtual host of the policy, or the host that the request names.
#[must_use]
pub fn site(event: &Event) -> &str {
    match (event.vhost(), event.text(field::URL_DOMAIN)) {
        ("", host) => host,
        (vhost, "") => vhost,
        (vhost, host) if vhost.starts_with(CONTAINED) => host,
        (vhost, _) => vhost,
    }
}

/// The program of the server that an event comes from.
#[must_use]
pub fn program(event: &Event) -> &str {
    event.text(field::CHAIN).split(" > ").next().unwrap_or_default()
}

/// The script of an event, or the program where there is none.
fn script(event: &Event) -> &str {
    match event.text(field::REQUEST_SCRIPT) {
        "" => program(event),
        script => script,
    }
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver { requests: Recent::new(REMEMBERED), processes: Recent::new(REMEMBERED) }
    }
}

impl Resolver {
    /// Whose an event is.
    pub fn resolve(&mut self, event: &Event, when: i64) -> Resolved {
        let host = event.text(field::HOST_HOSTNAME);
        let known = event.text(field::REQUEST_SCRIPT).len() + event.text(field::CLIENT_ADDRESS).len() > 0;
        let id = event.text(field::HTTP_REQUEST_ID);
        let request = (!id.is_empty()).then(|| stable((host, "request", id)));
        let process = |pid: Option<u64>| pid.filter(|pid| *pid > 1).map(|pid| stable((host, "process", pid)));
        let own = process(event.number(field::PROCESS_PID));
        let parent = process(event.number(field::PARENT_PID));
        let earlier = request.and_then(|request| self.requests.get(request));
        let is_same_time = |at: i64| when.abs_diff(at) < PROCESS_TIME.unsigned_abs();
        let above = || {
            let found = [own, parent].into_iter().flatten().find_map(|process| self.processes.get(process));
            found.filter(|(_, at)| is_same_time(*at)).map(|(key, _)| key)
        };
        let key = match earlier {
            _ if known => {
                [stable(host), stable(site(event)), stable(script(event)), stable(event.text(field::CLIENT_ADDRESS))]
            }
            Some(earlier) => earlier,
            None => above().unwrap_or_else(|| [stable(host), stable(site(event)), stable(script(event)), stable("")]),
        };
        if let Some(request) = request {
            self.requests.insert(request, key);
        }
        // The worker itself serves other requests, too; what it started is one request's.
        let is_started = event.text(field::CHAIN).contains(" > ");
        if let Some(own) = own.filter(|_| is_started && !event.blocked()) {
            self.processes.insert(own, (key, when));
        }
        Resolved { key, other: earlier.filter(|earlier| *earlier != key), request }
    }
}
