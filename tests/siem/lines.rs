//! Lines of a log as the library writes them, by its own encoder: an event of each rule, and the same with an attacker's text wherever
//! an attacker chooses the text.

use portcullis_event::{Action, Endpoint, Event, GUARD_POLICY, Line, Process, RULES, RequestFields, RuleFacts, encode};
use portcullis_policy::Rule;

/// The client of every request.
pub const CLIENT: &str = "192.0.2.7";
/// The address that an attacker wants to be taken for the client.
pub const VICTIM: &str = "203.0.113.9";

/// Texts that an attacker puts into a URI, a name, a path, an argument or a variable. Those with a client are of [`VICTIM`].
pub const HOSTILE: [&str; 12] = [
    "\",\"client\":{\"address\":\"203.0.113.9\",\"ip\":\"203.0.113.9\"},\"x\":\"",
    "\\\",\"client\":{\"address\":\"203.0.113.9\",\"ip\":\"203.0.113.9\"},\"x\":\"",
    "\n{\"@timestamp\":\"2026-11-30T08:00:00.000000000Z\",\"client\":{\"address\":\"203.0.113.9\",\"ip\":\"203.0.113.9\"}}\n",
    "x\r\nNov 30 08:00:00 web1 portcullis[1]: {\"client\":{\"ip\":\"203.0.113.9\"}}",
    "203.0.113.9",
    "\u{1b}]0;203.0.113.9\u{7}\u{1b}[2J\u{202e}\u{2028}\u{85}\0",
    "$(id)`id`;|&<>'\"\\%n%s{}",
    "-oProxyCommand=id",
    "<img src=x onerror=alert(1)>]]>&amp;",
    "\u{1f600}\u{e9}e\u{301}\u{feff}",
    "{\"event\":{\"outcome\":\"failure\"}}",
    "\\",
];

/// What an event is about.
fn action_of(rule: &RuleFacts, text: &'static [u8]) -> Action<'static> {
    let to = |ip: [u8; 4], port| Endpoint { ip: Some(ip.into()), port, transport: "tcp", domain: text };
    match rule.id {
        "egress-port" => Action::Connect(to([192, 88, 1, 10], 4444)),
        "dns-direct" => Action::Send(to([192, 88, 1, 10], 53)),
        "metadata" => Action::Connect(to([169, 254, 169, 254], 80)),
        "listen-port" => Action::Listen(to([0, 0, 0, 0], 4470)),
        "guard-policy" => Action::Guard("the policy of the process tree cannot be used here"),
        _ => Rule::ALL
            .into_iter()
            .find(|own| RULES[*own as usize].id == rule.id && own.own_action().is_some())
            .map_or(Action::Exec, Action::Own),
    }
}

/// A line of the log, whose end of line is left out.
fn line(rule: &RuleFacts, refused: bool, text: &'static str, change: impl Fn(&mut Event<'_>)) -> String {
    let long = text.as_bytes();
    let arguments = [long; 3];
    let process =
        Process { pid: 4021, name: long, executable: long, working_directory: long, args: &arguments, args_count: 3 };
    let mut event = Event {
        time: now(),
        stream: 0x8c1f_0e52_a7d9_4b36,
        sequence: 1,
        dropped: 0,
        merged: 0,
        rule,
        also: 0,
        mode: if refused { "enforce" } else { "audit" },
        refused,
        action: action_of(rule, long),
        detail: long,
        layer: "libc",
        unguarded: "",
        unknown: "",
        role: "serving",
        chain: long,
        served: RequestFields {
            state: "known",
            source: "nginx",
            vhost: b"shop",
            server_name: long,
            document_root: long,
            script: long,
            id: 7,
            method: long,
            uri: long,
            client: CLIENT.as_bytes(),
            pool: long,
            profile: long,
        },
        why: b"",
        clause: long,
        clause_file: b"",
        clause_line: 0,
        process,
        parent: Process { pid: 4018, ..process },
        uid: 33,
        user: b"www-data",
        host: b"web1",
    };
    change(&mut event);
    let mut buffer = Line::new();
    String::from_utf8(encode(&event, &mut buffer).trim_ascii_end().to_vec()).expect("UTF-8")
}

/// Nanoseconds since 1970: what bans looks at recent events only.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(now.as_nanos()).expect("a time before 2554")
}

/// An event of each rule of a request, blocked or only logged, with a text in every value that comes from outside.
pub fn of_rules(refused: bool, text: &'static str) -> Vec<String> {
    RULES.iter().map(|rule| line(rule, refused, text, |_| {})).collect()
}

/// Every rule with every hostile text, blocked.
pub fn hostile() -> Vec<String> {
    HOSTILE.into_iter().flat_map(|text| of_rules(true, text)).collect()
}

/// What is no reason to ban anybody, each with why.
pub fn harmless() -> Vec<(&'static str, String)> {
    let (egress, shell) = (&RULES[0], &RULES[1]);
    vec![
        (
            "no request",
            line(shell, true, "sh", |event| event.served = RequestFields { state: "none", ..RequestFields::default() }),
        ),
        ("a client that is no address", line(shell, true, "sh", |event| event.served.client = b"unix:")),
        ("what Portcullis says of itself", line(&GUARD_POLICY, true, "sh", |_| {})),
        ("merged", line(shell, true, "sh", |event| event.action = Action::Merged { count: 9, like: 1 })),
        ("nothing was sent yet", line(egress, false, "x", |event| event.detail = portcullis_event::NOTHING_SENT)),
    ]
}
