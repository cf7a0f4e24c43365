//! Tests of the encoder.

extern crate std;
use super::*;
use crate::journal::{Fields, fields};
use crate::seal::{self, Seal};
use crate::{Process, RULES, RequestFields};
use portcullis_policy::Rule;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::format;
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

/// The names of all that is no object.
fn names(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                names(inner, &path, into);
            }
        }
        _ => drop(into.insert(path.into())),
    }
}

#[test]
fn the_table_has_every_field_and_no_other() {
    let to = Endpoint { ip: "25.0.0.1".parse().ok(), port: 4444, transport: "tcp", domain: b"a.example" };
    let args: [&[u8]; 1] = [b"x"];
    let process =
        Process { pid: 1, name: b"x", executable: b"/x", working_directory: b"/", args: &args, args_count: 1 };
    let merged = Action::Merged { count: 2, like: 1 };
    let mut all = BTreeSet::new();
    let on = Endpoint { domain: b"", ..to };
    for action in [Action::Exec, Action::Connect(to), Action::Listen(on), merged] {
        let mut sealed = Line::new();
        let _ = encode(&event(process, action, b"192.88.1.10"), &mut sealed);
        let most = Seal { tree: u64::MAX, chain: b"0", index: u64::MAX, lost: u64::MAX };
        assert!(seal::seal(&mut sealed, [0; 2], &most));
        let value: Value = serde_json::from_slice(&sealed).unwrap();
        for found in field::ALL.iter().filter_map(|field| Some((field, value.pointer(field.pointer)?))) {
            assert_eq!(found.0.is_list, found.1.is_array(), "{}", found.0.name);
        }
        names(&value, "", &mut all);
    }
    let table: BTreeSet<String> = field::ALL.iter().map(|field| field.name.to_string()).collect();
    assert_eq!(all, table);
}

#[test]
fn the_names_in_the_journal_are_those_of_the_table() {
    let to = Endpoint { ip: "25.0.0.1".parse().ok(), port: 4444, transport: "tcp", domain: b"a.example" };
    for action in [Action::Connect(to), Action::Listen(to), Action::Merged { count: 2, like: 1 }] {
        for (name, _) in journal(&event(Process::default(), action, b"x")) {
            let is_of = |field: &field::Field| field.name.to_uppercase().replace('.', "_") == name;
            let is_journals = ["SYSLOG_IDENTIFIER", "PRIORITY", "PORTCULLIS_SCRIPT"].contains(&name.as_str());
            assert!(is_journals || field::ALL.iter().any(is_of), "{name}");
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
