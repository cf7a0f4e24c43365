//! A compiled policy as an enemy would make it, its checksum put right: refused, or a verdict.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::Policy;
use portcullis_policy::egress::{Target, Transport};
use portcullis_policy::exec::Program;
use portcullis_policy::name::HostName;
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
        for (address, port, sends) in [("192.88.1.10", 4444, false), ("::1", 53, true), ("fd00:ec2::254", 80, false)] {
            let to = Target { address: address.parse().unwrap(), port, sends };
            let name = HostName::of(b"a.b.example");
            let verdict = policy.decide_connect(scope, to, || Transport::Datagram, || name);
            let _ = (policy.clause(verdict.clause), policy.why(scope, verdict.rule), policy.errno(scope, verdict.rule));
            let _ = policy.steps_connect(scope, to, Transport::Stream, &name);
        }
        let names: [&[u8]; 2] = [b"sh", b"dash"];
        let program = Program {
            names: &names,
            own_names: 2,
            command: Some(b"/usr/sbin/sendmail -t -i"),
            path: b"/tmp/.x",
            writable: true,
            on_connection: true,
            loader: Some(Some(b"/x.so")),
            ..Program::default()
        };
        let _ = policy.decide_exec(scope, &program);
        let _ = (policy.decide_listen(scope, 80), policy.decide_stdio(scope), policy.decide_ring(scope));
        let _ = policy.decide_settings(scope, Some(b"a=b\nc=d"));
    }
    let _ = (policy.backstop(), policy.filter().len());
    let asked = Asked { server_name: b"a.b", source: 2, document_root: b"/a", script: b"/a/b", pool: b"p", profile: b"q" };
    if let Some(vhost) = policy.vhost(&asked) {
        let _ = (policy.vhost_name(vhost), policy.vhost_scope(vhost));
    }
    let _ = (policy.sources().count(), policy.log_file(), policy.sinks());
});
