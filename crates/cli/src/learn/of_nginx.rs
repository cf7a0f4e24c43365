//! Entries for what nginx's configuration connects to, which can be known before the first request.

use super::evidence::Evidence;
use super::nginx;
use super::propose::{Choice, List, Proposal};
use super::widen;
use crate::{explain, show};
use portcullis_config::reading::{self, Links};
use portcullis_policy::Policy;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest configuration of nginx, in bytes.
const NGINX_MAX: u64 = 256 << 20;

/// What nginx's own configuration needs.
pub fn proposals(file: &str, policy: &Policy<'_>, choice: &Choice<'_>) -> Result<BTreeMap<String, Proposal>, String> {
    let text = if file == "-T" {
        let done = std::process::Command::new("nginx")
            .arg("-T")
            .output()
            .map_err(|error| format!("cannot run nginx -T: {error}"))?;
        if !done.status.success() {
            return Err(format!("nginx -T: {}", String::from_utf8_lossy(&done.stderr).trim().replace('\n', "; ")));
        }
        String::from_utf8_lossy(&done.stdout).into_owned()
    } else {
        reading::text(Path::new(file), Links::Follow, NGINX_MAX)
            .map_err(|error| format!("cannot read {file}: {error}"))?
    };
    let found = nginx::read(&text);
    let now = jiff::Timestamp::now().as_second();
    let mut proposal = Proposal::default();
    let evidence = |said: String| Evidence {
        count: 1,
        when: Some((now, now)),
        scripts: vec!["nginx's configuration".to_owned()],
        example: said,
        ..Evidence::default()
    };
    for (destination, said) in found.destinations {
        let is_allowed = match destination.parse() {
            Ok(address) => explain::allows_connect(policy, address),
            // Whatever a name stands for, a common port is allowed.
            Err(_) => destination
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok())
                .is_some_and(|port| portcullis_config::lists::COMMON_PORTS.contains(&port)),
        };
        if !is_allowed {
            proposal
                .entries
                .insert((List::Egress, destination), evidence(said.into_iter().collect::<Vec<_>>().join("; ")));
        }
    }
    for resolver in found.resolvers {
        let is_allowed =
            resolver.parse().is_ok_and(|ip| explain::allows_connect(policy, std::net::SocketAddr::new(ip, 53)));
        if !is_allowed {
            proposal.entries.insert((List::Resolvers, resolver), evidence("resolver".to_owned()));
        }
    }
    for unknown in found.unknown {
        eprintln!("note: `{}` is made of variables: what it stands for shows in the events", show::printable(&unknown));
    }
    if choice.widen {
        widen::apply(&mut proposal);
    } else {
        proposal.wider = widen::wider(&proposal);
    }
    let mut out = BTreeMap::new();
    if !proposal.entries.is_empty() {
        out.insert(String::new(), proposal);
    }
    Ok(out)
}
