//! The longest and the emptiest of every value, held against docs/events.schema.json.

use portcullis_event::{
    ARGS_SHOWN, Action, Endpoint, Event, GUARD_POLICY, Line, Process, RULES, RequestFields, encode,
};
use portcullis_policy::Rule;
use serde_json::Value;
use std::path::Path;

fn event<'a>(process: Process<'a>, action: Action<'a>, bytes: &'a [u8], refused: bool) -> Event<'a> {
    Event {
        time: 1_795_537_514_000_000_001,
        stream: u64::MAX,
        sequence: u64::MAX,
        dropped: u64::MAX,
        merged: u64::MAX,
        rule: match action {
            Action::Connect(_) | Action::Send(_) | Action::Route | Action::Ring | Action::Call => &RULES[0],
            Action::Exec | Action::Merged { .. } => &RULES[1],
            Action::Listen(_) => &RULES[6],
            Action::Own(rule) => &RULES[rule as usize],
            Action::Guard(_) => &GUARD_POLICY,
        },
        also: if refused { u16::MAX } else { 0 },
        detail: bytes,
        layer: if refused { "backstop" } else { "libc" },
        unguarded: if refused { "static" } else { "" },
        unknown: "address",
        mode: "enforce",
        refused,
        action,
        role: "descendant",
        chain: bytes,
        served: RequestFields {
            state: "known",
            source: "unknown",
            vhost: bytes,
            server_name: bytes,
            document_root: bytes,
            script: bytes,
            id: 7,
            method: bytes,
            uri: bytes,
            client: bytes,
            pool: bytes,
            profile: bytes,
        },
        why: bytes,
        clause: bytes,
        clause_file: bytes,
        clause_line: u32::MAX,
        process,
        parent: process,
        uid: u32::MAX,
        user: bytes,
        host: bytes,
    }
}

#[test]
fn any_event_is_as_the_schema_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for filler in
        [&b""[..], &[b'x'; 5000], &[1; 5000], &[b'"'; 5000], &[0xff; 5000], "\u{20ac}".repeat(2000).as_bytes()]
    {
        let args = [filler; ARGS_SHOWN];
        let full = Process {
            pid: u32::MAX,
            name: filler,
            executable: filler,
            working_directory: filler,
            args: &args,
            args_count: u32::MAX,
        };
        let to = |ip: &str, transport| Endpoint { ip: ip.parse().ok(), port: 65535, transport, domain: filler };
        for process in [full, Process::default()] {
            let own = Rule::ALL.into_iter().filter(|rule| rule.own_action().is_some()).map(Action::Own);
            for action in own.chain([
                Action::Connect(to("192.88.1.10", "tcp")),
                Action::Send(to("2a0e:1::10", "udp")),
                Action::Listen(Endpoint { domain: b"", ..to("::", "raw") }),
                Action::Connect(Endpoint { ip: None, ..to("::", "tcp") }),
                Action::Listen(Endpoint { ip: None, ..to("::", "tcp") }),
                Action::Exec,
                Action::Route,
                Action::Ring,
                Action::Call,
                Action::Merged { count: u64::MAX, like: u64::MAX },
                Action::Guard("why"),
            ]) {
                for refused in [false, true] {
                    let mut buffer = Line::new();
                    let line = encode(&event(process, action, filler, refused), &mut buffer);
                    let value: Value = serde_json::from_slice(line).expect("JSON");
                    let errors: Vec<String> =
                        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
                    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
                }
            }
        }
    }
}
