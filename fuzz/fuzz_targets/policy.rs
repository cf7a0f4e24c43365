//! A compiled policy as an enemy would make it, its checksum put right: refused, or a verdict.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::Policy;
use portcullis_policy::egress::Transport;
use portcullis_policy::exec::Program;
use portcullis_policy::format::{MAGIC, VERSION, checksum};
use portcullis_policy::vhost::Asked;

fuzz_target!(|data: &[u8]| {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((data.len() as u32 + 24).to_le_bytes());
    bytes.extend(checksum(data).to_le_bytes());
    bytes.extend(data);
    let Ok(policy) = Policy::new(&bytes) else { return };
    for scope in [0, 1, u32::MAX] {
        for address in ["192.88.1.10", "::1", "2a0e::1"] {
            let verdict = policy.decide_connect(scope, address.parse().unwrap(), 4444, || Transport::Datagram);
            let _ = (policy.clause(verdict.clause), policy.why(scope, verdict.rule));
        }
        let names: [&[u8]; 2] = [b"sh", b"dash"];
        policy.decide_exec(scope, &Program { names: &names, command: Some(b"/usr/sbin/sendmail -t -i"), words: None });
    }
    let asked = Asked { server_name: b"a.b", source: 2, document_root: b"/a", script: b"/a/b", pool: b"p", profile: b"q" };
    if let Some(vhost) = policy.vhost(&asked) {
        let _ = (policy.vhost_name(vhost), policy.vhost_scope(vhost));
    }
    let _ = (policy.sources().count(), policy.log_file(), policy.sinks());
});
