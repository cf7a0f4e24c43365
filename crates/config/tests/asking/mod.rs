//! Everything that a policy can be asked, for whoever has one that may be damaged; the fuzzer too.

use portcullis_policy::egress::{Connection, Transport};
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::name::HostName;
use portcullis_policy::vhost::VhostQuery;
use portcullis_policy::{Policy, Rule};

/// Asks it everything.
pub fn ask(policy: &Policy<'_>) {
    for scope in [0, 1, 2, u32::MAX] {
        for (address, port) in [("192.88.1.10", 4444), ("::1", 53), ("2001:db8::1", 6379), ("169.254.169.254", 80)] {
            let to = Connection { address: address.parse().expect("an address"), port, sends: port == 53 };
            let name = HostName::of(b"api.stripe.com");
            let verdict = policy.decide_connect(scope, to, || Transport::Datagram, || name);
            let _ = (policy.clause(verdict.clause), policy.why(scope, verdict.rule), policy.errno(scope, verdict.rule));
            let _ = policy.steps_connect(scope, to, Transport::Stream, &name);
        }
        let names: [&[u8]; 2] = [b"sh", b"dash"];
        for command in [&b"/usr/bin/convert a b"[..], b"/usr/sbin/sendmail -t -i", b"id"] {
            let program = ExecutedProgram {
                names: &names,
                own_names: 2,
                command: Some(command),
                path: b"/tmp/x",
                identity: (1, 2),
                build_id: b"12345678",
                writable: true,
                on_connection: true,
                loader: Some(Some(b"/x.so")),
                unguarded: "setuid",
                ..ExecutedProgram::default()
            };
            let _ = (policy.decide_exec(scope, &program), policy.image(1, 2, b"12345678"));
        }
        let _ = policy.decide_listen(scope, 80);
        let _ = Rule::ALL.map(|rule| policy.decide_plain(scope, rule));
        let _ = policy.decide_namespace(scope, b"/usr/bin/unshare");
        let _ = policy.decide_settings(scope, Some(b"a=b"));
    }
    let asked = VhostQuery {
        server_name: b"www.shop.example.com",
        source: 2,
        document_root: b"/srv/shop",
        script: b"/srv/shop/index.php",
        pool: b"shop",
        profile: b"",
    };
    if let Some(vhost) = policy.vhost(&asked) {
        let _ = (policy.vhost_name(vhost), policy.vhost_scope(vhost));
    }
    let _ = (policy.backstop(), policy.filter().len(), policy.sources().count(), policy.log_file(), policy.sinks());
}
