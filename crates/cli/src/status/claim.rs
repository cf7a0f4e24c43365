//! Reads the request that led to a process, from the environment that its program was started with.
//!
//! The hooks write these variables, and the process itself can write over them: what they say is the process's own claim.

use portcullis_config::reading::{self, Links};
use portcullis_policy::Policy;
use portcullis_policy::vhost::{Key, UnreadKeys, VhostQuery};
use portcullis_request::context::{self, Role};
use portcullis_request::environment::Variables;
use portcullis_request::{Field, Request, State, normalise, wire};
use serde_json::{Value, json};
use std::path::Path;
use std::rc::Rc;

/// The largest environment. The kernel takes at most 6 MiB of arguments and environment (execve(2)).
const ENVIRONMENT_MAX: u64 = 8 << 20;

/// What a process claims of its origin.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// It is a descendant of a worker.
    pub is_descendant: bool,
    /// The programs that led to it.
    pub chain: String,
    /// The request.
    pub request: Option<Rc<Request>>,
}

impl Claim {
    /// What the process with this folder in /proc claims; `None` if that cannot be read.
    pub fn of(folder: &Path) -> Option<Claim> {
        let environment = reading::head(&folder.join("environ"), Links::Refuse, ENVIRONMENT_MAX).ok()?;
        let mut variables = Variables::default();
        environment.split(|&byte| byte == 0).for_each(|entry| variables.take(entry));
        let inherited = variables.context.and_then(context::parse);
        let request = variables.request.and_then(wire::read);
        Some(Claim {
            is_descendant: inherited.is_some_and(|inherited| inherited.role == Role::Descendant),
            chain: inherited.map(|inherited| text(inherited.chain)).unwrap_or_default(),
            request: request.filter(|request| request.state != State::None).map(Rc::new),
        })
    }
}

/// A virtual host of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vhost {
    /// It has this name.
    Named(String),
    /// The request belongs to none.
    Outside,
    /// The request or the policy does not determine it.
    Unknown,
}

impl Vhost {
    /// That of a request under a compiled policy, which is empty for the built-in one, selected as the library does.
    pub fn of(request: &Request, policy: &[u8]) -> Vhost {
        if request.state != State::Known {
            return Vhost::Unknown;
        }
        // The built-in policy has none.
        if policy.is_empty() {
            return Vhost::Outside;
        }
        let Ok(policy) = Policy::new(policy) else { return Vhost::Unknown };
        let (mut script, mut root) = (None::<Field<512>>, None::<Field<512>>);
        let bare = request.server_name.whole();
        let bare = match bare.iter().rposition(|&byte| byte == b':') {
            // A v6 address in brackets has colons too.
            Some(colon) if bare.last() != Some(&b']') => &bare[..colon],
            _ => bare,
        };
        let server_name = bare.strip_suffix(b".").unwrap_or(bare).to_ascii_lowercase();
        let document_root = normalise(request.document_root.whole(), &mut root);
        let script = normalise(request.script.whole(), &mut script);
        let unknown = UnreadKeys::none()
            .with(Key::Name, server_name.is_empty() && !request.server_name.is_empty())
            .with(Key::Root, document_root.is_empty() && !request.document_root.is_empty())
            .with(Key::Script, script.is_empty() && !request.script.is_empty())
            .with(Key::Pool, request.pool.is_cut())
            .with(Key::Profile, request.profile.is_cut());
        let (pool, profile) = (request.pool.whole(), request.profile.whole());
        let source = request.source as u8;
        let asked = VhostQuery { server_name: &server_name, source, document_root, script, pool, profile };
        match policy.vhost_of(&asked, unknown) {
            Ok(Some(index)) => Vhost::Named(text(policy.vhost_name(index))),
            Ok(None) => Vhost::Outside,
            Err(_) => Vhost::Unknown,
        }
    }

    /// Its name; empty for none, or an unknown one.
    pub fn name(&self) -> &str {
        if let Vhost::Named(name) = self { name } else { "" }
    }

    /// Its name, in parentheses for none.
    pub fn shown(&self) -> &str {
        match self {
            Vhost::Named(name) => name,
            Vhost::Outside => "(none)",
            Vhost::Unknown => "unknown",
        }
    }
}

/// The number of a request as events have it; `None` without one.
pub fn id(request: &Request) -> Option<String> {
    (request.id != 0).then(|| format!("{:016x}", request.id))
}

/// `METHOD NAME/PATH`, as far as the request has them.
pub fn words(request: &Request) -> String {
    let (method, name, uri) =
        (text(request.method.bytes()), text(request.server_name.bytes()), text(request.uri.bytes()));
    let target = name + &uri;
    match (method.is_empty(), target.is_empty()) {
        (true, true) => "unknown".to_owned(),
        (true, false) => target,
        (false, _) => format!("{method} {target}").trim_end().to_owned(),
    }
}

/// The request as JSON; a field that it lacks is null.
pub fn json(request: &Request) -> Value {
    let field = |bytes: &[u8]| if bytes.is_empty() { Value::Null } else { text(bytes).into() };
    json!({
        "id": id(request), "state": request.state.word(), "source": request.source.word(),
        "method": field(request.method.bytes()), "uri": field(request.uri.bytes()),
        "server_name": field(request.server_name.bytes()), "client": field(request.client.bytes()),
        "document_root": field(request.document_root.bytes()), "script": field(request.script.bytes()),
        "pool": field(request.pool.bytes()), "profile": field(request.profile.bytes()),
    })
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_request::Source;

    fn request() -> Request {
        let mut request = Request::none();
        (request.state, request.source, request.id) = (State::Known, Source::Nginx, 0x2a);
        request.method.set(b"POST");
        request.server_name.set(b"Shop.Example:8080");
        request.uri.set(b"/a?b");
        request.document_root.set(b"/srv/./shop");
        request
    }

    fn environment(text: &[u8]) -> Option<Claim> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("environ"), text).unwrap();
        Claim::of(folder.path())
    }

    #[test]
    fn the_request_stands_behind_a_large_environment() {
        let mut text = vec![b'A'; 1 << 20];
        text.extend(b"\0PORTCULLIS_CONTEXT=1;d;0;0;0;0:0;;apache2 > sh\0PORTCULLIS_REQUEST=");
        wire::write(&request(), 0x2a, |bytes| text.extend(bytes));
        text.extend(b"\0PORTCULLIS_REQUEST=forged\0");
        let claim = environment(&text).unwrap();
        assert_eq!((claim.is_descendant, claim.chain.as_str()), (true, "apache2 > sh"));
        let request = claim.request.unwrap();
        assert_eq!(
            (words(&request).as_str(), id(&request).as_deref()),
            ("POST Shop.Example:8080/a?b", Some("000000000000002a"))
        );
    }

    #[test]
    fn what_is_no_claim_claims_nothing() {
        for text in
            [&b""[..], b"PORTCULLIS_CONTEXT=9;d", b"PORTCULLIS_REQUEST=\xff\xff", b"PORTCULLIS_REQUEST=2", b"\0\0\0"]
        {
            let claim = environment(text).unwrap();
            assert!(!claim.is_descendant && claim.request.is_none());
        }
        assert!(Claim::of(Path::new("/nowhere")).is_none());
    }

    #[test]
    fn the_virtual_host_is_the_one_that_the_library_selects() {
        let text = "[[vhost]]\nname = \"shop\"\nmatch = { document_root = \"/srv/shop\" }\n[[vhost]]\nname = \"name\"\nmatch = { server_name = \"shop.example\" }\n";
        let policy = portcullis_config::compile(&portcullis_config::parse_text(Path::new("x"), text).config);
        let mut asked = request();
        assert_eq!(Vhost::of(&asked, &policy), Vhost::Named("shop".into()));
        asked.document_root.clear();
        assert_eq!(Vhost::of(&asked, &policy), Vhost::Named("name".into()));
        asked.server_name.clear();
        assert_eq!(Vhost::of(&asked, &policy), Vhost::Outside);
        asked.document_root.set(&[b'/'; 600]);
        assert_eq!(Vhost::of(&asked, &policy), Vhost::Unknown);
        asked.state = State::Lost;
        assert_eq!((Vhost::of(&asked, &policy), Vhost::of(&request(), b"x")), (Vhost::Unknown, Vhost::Unknown));
    }
}
