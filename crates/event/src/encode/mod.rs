//! An event as one line of ECS JSON.

mod process;
mod request;

use crate::message::message;
use crate::{Action, Endpoint, Event, Json, Line, MemberName, name};
use process::process;
use request::{own, served};

/// The version of the Elastic Common Schema whose names are used.
const ECS: &str = r#","ecs":{"version":"9.0.0"}"#;
const PATH_MAX: usize = 512;
const NAME_MAX: usize = 96;

/// Writes `event` into `buffer`, with a newline at its end.
#[must_use]
pub fn encode<'b>(event: &Event<'_>, buffer: &'b mut Line) -> &'b [u8] {
    let mut json = Json::new(buffer);
    json.open(b'{');
    json.key(name!("@timestamp"));
    json.time(event.time);
    json.key(name!("message"));
    message(&mut json, event);
    json.constant(ECS);
    about(&mut json, event);
    json.key(name!("rule"));
    json.open(b'{');
    word(&mut json, name!("id"), event.rule.id);
    word(&mut json, name!("name"), event.title());
    json.close(b'}');
    if !event.rule.techniques.is_empty() {
        json.key(name!("threat"));
        json.open(b'{');
        json.constant(r#","framework":"MITRE ATT&CK""#);
        json.key(name!("technique"));
        json.open(b'{');
        list(&mut json, name!("id"), event.rule.techniques);
        if !event.rule.subtechniques.is_empty() {
            json.key(name!("subtechnique"));
            json.open(b'{');
            list(&mut json, name!("id"), event.rule.subtechniques);
            json.close(b'}');
        }
        json.close(b'}');
        json.close(b'}');
    }
    match event.action {
        Action::Connect(to) | Action::Send(to) => endpoint(&mut json, name!("destination"), "egress", &to),
        Action::Listen(on) => endpoint(&mut json, name!("server"), "ingress", &on),
        _ => {}
    }
    json.key(name!("process"));
    process(&mut json, &event.process, Some(&event.parent));
    json.key(name!("user"));
    json.open(b'{');
    json.key(name!("id"));
    json.open(b'"');
    json.digits_text(u64::from(event.uid));
    json.close(b'"');
    if !event.user.is_empty() {
        member(&mut json, name!("name"), event.user, NAME_MAX);
    }
    json.close(b'}');
    served(&mut json, &event.served);
    json.key(name!("host"));
    json.open(b'{');
    member(&mut json, name!("hostname"), event.host, NAME_MAX);
    json.constant(r#","os":{"type":"linux"}"#);
    json.close(b'}');
    own(&mut json, event);
    json.close(b'}');
    json.raw(b"\n");
    json.finish()
}

#[inline(never)]
fn endpoint(json: &mut Json<'_>, key: MemberName, direction: &'static str, at: &Endpoint<'_>) {
    if let Some(ip) = at.ip {
        json.key(key);
        json.open(b'{');
        json.key(name!("ip"));
        json.ip(ip);
        json.key(name!("port"));
        json.number(u64::from(at.port));
        if !at.domain.is_empty() {
            member(json, name!("domain"), at.domain, 256);
        }
        json.close(b'}');
    }
    json.key(name!("network"));
    json.open(b'{');
    word(json, name!("direction"), direction);
    word(json, name!("transport"), at.transport);
    if let Some(ip) = at.ip {
        word(json, name!("type"), if ip.is_ipv6() { "ipv6" } else { "ipv4" });
    }
    json.close(b'}');
}

#[inline(never)]
fn member(json: &mut Json<'_>, key: MemberName, value: &[u8], max: usize) {
    json.key(key);
    json.string(value, max);
}

/// A member whose value is a word of this program's own.
#[inline(never)]
fn word(json: &mut Json<'_>, key: MemberName, value: &'static str) {
    json.key(key);
    json.word(value);
}

#[inline(never)]
fn list(json: &mut Json<'_>, key: MemberName, values: &[&'static str]) {
    json.key(key);
    json.open(b'[');
    for value in values {
        json.word(value);
    }
    json.close(b']');
}

fn about(json: &mut Json<'_>, event: &Event<'_>) {
    let category = event.action.category(event.rule);
    let (kind, refused) = event.action.types(category);
    json.key(name!("event"));
    json.open(b'{');
    json.key(name!("id"));
    json.open(b'"');
    json.hex(event.stream);
    json.raw(b"-");
    json.digits_text(event.sequence);
    json.close(b'"');
    json.constant(r#","kind":"alert","module":"portcullis","dataset":"portcullis.events""#);
    list(json, name!("category"), &[category]);
    json.key(name!("type"));
    json.open(b'[');
    json.word(kind);
    if event.refused && !refused.is_empty() {
        json.word(refused);
    }
    json.close(b']');
    member(json, name!("action"), event.action.word(), NAME_MAX);
    word(json, name!("outcome"), if event.refused { "failure" } else { "success" });
    json.key(name!("severity"));
    json.number(u64::from(event.severity()));
    json.key(name!("sequence"));
    json.number(event.sequence);
    json.close(b'}');
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::journal::{Fields, fields};
    use crate::seal::{self, Seal};
    use crate::{Process, RULES, RequestFields};
    use portcullis_policy::Rule;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn event<'a>(process: Process<'a>, action: Action<'a>, bytes: &'a [u8]) -> Event<'a> {
        Event {
            time: 1,
            stream: u64::MAX,
            sequence: u64::MAX,
            dropped: u64::MAX,
            merged: u64::MAX,
            rule: match action {
                Action::Own(rule) => &RULES[rule as usize],
                Action::Exec => &RULES[1],
                _ => &RULES[0],
            },
            also: u16::MAX,
            mode: "enforce",
            refused: true,
            action,
            detail: bytes,
            layer: "backstop",
            unguarded: "foreign",
            unknown: "file-actions",
            role: "descendant",
            chain: bytes,
            served: RequestFields {
                state: "known",
                source: "unknown",
                vhost: bytes,
                server_name: bytes,
                document_root: bytes,
                script: bytes,
                id: u64::MAX,
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

    fn line(event: &Event<'_>) -> Value {
        let mut buffer = Line::new();
        let line = encode(event, &mut buffer);
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(line).unwrap()
    }

    /// The fields of the journal, as journald reads them.
    fn journal(event: &Event<'_>) -> Vec<(String, Vec<u8>)> {
        let mut buffer = Fields::new();
        let mut rest = fields(event, &mut buffer);
        let mut read = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').expect("the end of a line");
            let line = str::from_utf8(&rest[..end]).expect("a name");
            rest = &rest[end + 1..];
            if let Some((name, value)) = line.split_once('=') {
                read.push((name.into(), value.into()));
                continue;
            }
            let (length, value) = rest.split_first_chunk().expect("a length");
            let (value, after) = value.split_at(u64::from_le_bytes(*length) as usize);
            read.push((line.into(), value.into()));
            rest = after.strip_prefix(b"\n").expect("the end of a value");
        }
        read
    }

    #[test]
    fn the_longest_of_everything_fits() {
        for filler in [&[b'x'; 5000][..], &[1; 5000], &[b'"'; 5000], &[0xff; 5000]] {
            let args = [filler; crate::ARGS_SHOWN];
            let process = Process {
                pid: u32::MAX,
                name: filler,
                executable: filler,
                working_directory: filler,
                args: &args,
                args_count: u32::MAX,
            };
            let to = Endpoint {
                ip: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().ok(),
                port: 65535,
                transport: "ipv6-icmp",
                domain: filler,
            };
            let merged = Action::Merged { count: u64::MAX, like: u64::MAX };
            let own = Rule::ALL.into_iter().filter(|rule| rule.own_action().is_some()).map(Action::Own);
            for action in own.chain([Action::Exec, Action::Send(to), Action::Listen(to), merged]) {
                let event = event(process, action, filler);
                assert_eq!(line(&event)["portcullis"]["dropped"], u64::MAX);
                let mut sealed = Line::new();
                let _ = encode(&event, &mut sealed);
                let most = Seal { tree: u64::MAX, chain: &[b'0'; seal::NAME_MAX], index: u64::MAX, lost: u64::MAX };
                assert!(seal::seal(&mut sealed, [0; 2], &most));
                assert!(serde_json::from_slice::<Value>(&sealed).is_ok());
                let fields = journal(&event);
                assert_eq!(fields.first(), Some(&("SYSLOG_IDENTIFIER".into(), b"portcullis".into())));
                assert!(fields.contains(&("EVENT_SEQUENCE".into(), u64::MAX.to_string().into())));
                assert!(fields.contains(&("HTTP_REQUEST_ID".into(), b"ffffffffffffffff".into())));
                assert_eq!(fields.last(), Some(&("USER_NAME".into(), filler[..256].into())));
            }
        }
    }

    #[test]
    fn a_connection_has_what_the_rule_asks_for() {
        let to = Endpoint { ip: "25.0.0.1".parse().ok(), port: 4444, transport: "tcp", domain: b"a.example" };
        let value = line(&event(Process::default(), Action::Connect(to), b"php"));
        assert_eq!(value["event"]["action"], "connection_attempted");
        assert_eq!(value["event"]["type"][0], "start");
        assert_eq!(value["network"]["direction"], "egress");
        assert_eq!(value["destination"]["ip"], "25.0.0.1");
        assert_eq!(value["destination"]["port"], 4444);
        assert_eq!(value["rule"]["id"], "egress-port");
        assert_eq!(value["event"]["outcome"], "failure");
    }

    #[test]
    fn an_address_that_is_not_known_is_none() {
        let to = Endpoint { ip: None, port: 0, transport: "tcp", domain: b"" };
        for (action, absent) in [
            (Action::Connect(to), ["destination", "DESTINATION_IP", "DESTINATION_PORT"]),
            (Action::Send(to), ["destination", "DESTINATION_IP", "DESTINATION_PORT"]),
            (Action::Listen(to), ["server", "SERVER_IP", "SERVER_PORT"]),
        ] {
            let event = event(Process::default(), action, b"php");
            let value = line(&event);
            assert!(value[absent[0]].is_null() && value["network"]["type"].is_null(), "{value}");
            assert_eq!(value["network"]["transport"], "tcp");
            let message = value["message"].as_str().unwrap();
            assert!(message.contains("an unknown address/tcp") && !message.contains("0.0.0.0"), "{message}");
            assert!(journal(&event).iter().all(|(name, _)| !absent.contains(&name.as_str())));
        }
    }

    proptest! {
        #[test]
        fn any_arguments_are_valid_json(args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..16)) {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let process = Process { args: &args, args_count: args.len() as u32, ..Process::default() };
            line(&event(process, Action::Exec, b"chain"));
        }
    }
}
