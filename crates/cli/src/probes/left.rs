//! What one reading of the log leaves out.

use super::{LIST, Probe, is_marked, list, texts, tokens_in};
use crate::log::Event;
use portcullis_event::field;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

/// What is left out of one reading; by default nothing.
#[derive(Default)]
pub struct Left {
    probes: HashMap<String, Probe>,
    /// The events that took a place of a probe, by their numbers.
    taken: HashMap<(String, usize), Vec<String>>,
    is_shown: bool,
    /// Why the list could not be read.
    unread: Option<String>,
    /// How many were left out, and how many more have the mark.
    left: usize,
    marked: usize,
}

impl Left {
    /// By a list; with `is_shown` nothing is left out, and probes are marked.
    pub fn by(list: &Path, is_shown: bool) -> Left {
        let (probes, unread) = match list::read(list) {
            Ok(probes) => (probes, None),
            // Where `doctor` never ran there is none.
            Err(error) if error.kind() == ErrorKind::NotFound && list == Path::new(LIST) => (HashMap::new(), None),
            Err(error) => (HashMap::new(), Some(format!("{}: {error}", list.display()))),
        };
        Left { probes, taken: HashMap::new(), is_shown, unread, left: 0, marked: 0 }
    }

    /// Whether an event is left out. One that is not gets no word of its own on what it is.
    pub fn out(&mut self, event: &mut Event) -> bool {
        let is_probe = self.takes(event);
        event.mark_as_probe(is_probe && self.is_shown);
        if is_probe && !self.is_shown {
            self.left += 1;
        } else if !is_probe && is_marked(event) {
            self.marked += 1;
        }
        is_probe && !self.is_shown
    }

    /// Whether an event is one of a probe's, of which there are so many and no more.
    fn takes(&mut self, event: &Event) -> bool {
        let id = event.text(field::EVENT_ID);
        if self.probes.is_empty() || id.is_empty() || !is_marked(event) {
            return false;
        }
        let mut tokens = texts(event).into_iter().flat_map(tokens_in);
        let Some((probe, place)) = tokens.find_map(|token| {
            let probe = self.probes.get(token)?;
            Some((probe, probe.place_of(event)?))
        }) else {
            return false;
        };
        let taken = self.taken.entry((probe.token.clone(), place)).or_default();
        if taken.iter().any(|known| known == id) {
            return true;
        }
        let is_free = taken.len() < probe.expected[place].count;
        if is_free {
            taken.push(id.to_owned());
        }
        is_free
    }

    /// What a reader says at its end; `None` where there is nothing to say.
    pub fn note(&self) -> Option<String> {
        let event = |count: usize| crate::check::counted(count, "event");
        match (&self.unread, self.left, self.marked) {
            (_, 0, 0) => None,
            (Some(why), _, marked) => Some(format!(
                "{} with the mark of doctor may be of its probes, and are shown: the list of probes cannot be read ({why})",
                event(marked)
            )),
            (None, left, 0) => Some(format!("{} of doctor's probes left out; --probes shows them", event(left))),
            (None, 0, marked) => {
                Some(format!("{} with the mark of doctor, but not of its probes: shown", event(marked)))
            }
            (None, left, marked) => Some(format!(
                "{} of doctor's probes left out (--probes shows them); {marked} more with its mark, but not of its probes: shown",
                event(left)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{By, Expected, open, token};
    use super::*;
    use serde_json::{Value, json};

    const PORT: u16 = 61234;

    struct Place {
        folder: tempfile::TempDir,
        token: String,
    }

    impl Place {
        /// A machine on which a probe ran, or runs.
        fn new(runs: bool) -> Place {
            let place = Place { folder: tempfile::tempdir().unwrap(), token: token().unwrap() };
            let (token, list) = (&place.token, place.list());
            let expected = vec![
                Expected::shell(By::Uri(format!("/{token}?shell"))),
                Expected::connections(By::Uri(format!("/{token}?connect")), PORT, "tcp", 1),
                Expected::connections(By::Process(format!("/usr/bin/portcullis probe {token} {PORT}")), PORT, "udp", 1),
                Expected::guard(By::Process(format!("/usr/bin/portcullis probe {token} {PORT}"))),
            ];
            let entry = open(&list, token, expected).unwrap();
            if runs {
                std::mem::forget(entry)
            } else {
                drop(entry)
            }
            place
        }

        fn list(&self) -> std::path::PathBuf {
            self.folder.path().join("probes")
        }

        fn shell(&self) -> Value {
            let program = std::fs::canonicalize("/bin/sh").unwrap();
            json!({
                "@timestamp": format!("{:.9}", jiff::Timestamp::now()), "rule": { "id": "shell-spawn" },
                "event": { "action": "exec", "id": "a-1", "outcome": "success" },
                "url": { "original": format!("/{}?shell", self.token) },
                "process": {
                    "executable": program, "args": ["sh", "-c", format!(": {}", self.token)], "args_count": 3,
                    "command_line": format!("sh -c : {}", self.token), "parent": { "command_line": "php-fpm: pool www" },
                },
                "portcullis": { "layer": "libc" },
            })
        }

        fn connection(&self) -> Value {
            json!({
                "@timestamp": format!("{:.9}", jiff::Timestamp::now()), "rule": { "id": "egress-port" },
                "event": { "action": "connection_attempted", "id": "a-2", "outcome": "success" },
                "url": { "original": format!("/{}?connect", self.token) },
                "destination": { "ip": "0.0.0.1", "port": PORT }, "network": { "transport": "tcp" },
                "process": { "command_line": "php-fpm: pool www" }, "portcullis": { "layer": "libc" },
            })
        }

        fn beside(&self) -> Value {
            let mut event = self.connection();
            event["url"] = Value::Null;
            event["network"]["transport"] = "udp".into();
            event["process"]["command_line"] = format!("/usr/bin/portcullis probe {} {PORT}", self.token).into();
            event
        }

        /// The library's word on itself, in the probe and in its shell.
        fn guard(&self, in_shell: bool) -> Value {
            let mut process = self.shell()["process"].clone();
            if !in_shell {
                process = json!({ "command_line": format!("/usr/bin/portcullis probe {} {PORT}", self.token) });
            }
            json!({
                "@timestamp": format!("{:.9}", jiff::Timestamp::now()), "rule": { "id": "guard-policy" },
                "event": { "action": "policy_fallback", "id": format!("g-{in_shell}"), "outcome": "success" },
                "process": process, "portcullis": { "layer": "libc", "unknown": "policy" },
            })
        }

        fn left(&self) -> Left {
            Left::by(&self.list(), false)
        }

        fn is_out(&self, event: &Value) -> bool {
            self.left().out(&mut Event::of(&event.clone()))
        }
    }

    #[test]
    fn the_events_of_a_probe_are_left_out_and_counted() {
        let place = Place::new(true);
        let mut left = place.left();
        for event in [place.shell(), place.connection(), place.beside(), place.guard(false), place.guard(true)] {
            assert!(left.out(&mut Event::of(&event.clone())), "{event:#}");
            // From another sink.
            assert!(left.out(&mut Event::of(&event)));
        }
        assert!(left.note().unwrap().contains("10 events of doctor's probes left out"));
        let mut shown = Left::by(&place.list(), true);
        let mut event = Event::of(&place.shell());
        assert!(!shown.out(&mut event) && event.is_probe());
    }

    /// What an intruder who knows the token can change in what he does: each is shown.
    #[test]
    fn a_token_hides_nothing_else() {
        let place = Place::new(true);
        type Change<'c> = (&'c str, &'c dyn Fn(&mut Value));
        let changes: [Change; 17] = [
            ("forged token", &|event| {
                let forged = "portcullis-doctor-00000000000000000000000000000000";
                let text = event.to_string().replace(&place.token, forged);
                *event = serde_json::from_str(&text).unwrap();
            }),
            ("a token of another form", &|event| {
                let text = event.to_string().replace(&place.token, "portcullis-doctor-1-2");
                *event = serde_json::from_str(&text).unwrap();
            }),
            ("earlier", &|event| event["@timestamp"] = "2026-11-24T16:25:14.000000000Z".into()),
            ("later", &|event| event["@timestamp"] = "2999-11-24T16:25:14.000000000Z".into()),
            ("no time", &|event| event["@timestamp"] = Value::Null),
            ("another program", &|event| event["process"]["executable"] = "/tmp/sh".into()),
            ("more in the command", &|event| {
                event["process"]["args"][2] = format!(": {}; id", place.token).into();
            }),
            ("more arguments", &|event| event["process"]["args_count"] = 17.into()),
            ("another argument", &|event| event["process"]["args"].as_array_mut().unwrap().push("x".into())),
            ("another name", &|event| event["process"]["args"][0] = "bash".into()),
            ("another URI", &|event| event["url"]["original"] = format!("/{}?shell&x", place.token).into()),
            ("another rule", &|event| event["rule"]["id"] = "exec-place".into()),
            ("one more rule", &|event| event["portcullis"]["also"] = json!(["stdio-socket"])),
            ("unknown", &|event| event["portcullis"]["unknown"] = "environment".into()),
            ("merged", &|event| event["portcullis"]["repeated"] = 7.into()),
            ("by the supervisor", &|event| event["portcullis"]["layer"] = "backstop".into()),
            ("contradicted", &|event| event["portcullis"]["contradicted"] = json!({ "user.id": "33" })),
        ];
        for (what, change) in changes {
            let mut event = place.shell();
            change(&mut event);
            assert!(!place.is_out(&event), "{what}: {event:#}");
        }
        for (path, value) in [
            ("/destination/ip", json!("192.0.2.1")),
            ("/destination/port", json!(4444)),
            ("/network/transport", json!("udp")),
            ("/event/action", json!("socket_route")),
            ("/rule/id", json!("metadata")),
            ("/url/original", json!(format!("/{}?shell", place.token))),
        ] {
            let mut event = place.connection();
            *event.pointer_mut(path).unwrap() = value;
            assert!(!place.is_out(&event), "{path}: {event:#}");
        }
        let mut event = place.beside();
        event["process"]["command_line"] = format!("/tmp/x probe {} {PORT}", place.token).into();
        assert!(!place.is_out(&event), "another process");
        for (in_shell, path, value) in [
            (false, "/process/command_line", json!(format!("/tmp/x probe {} {PORT}", place.token))),
            (false, "/rule/id", json!("exec-place")),
            (false, "/event/action", json!("exec")),
            (false, "/portcullis/layer", json!("backstop")),
            (true, "/process/args/2", json!(format!(": {}; id", place.token))),
            (true, "/process/executable", json!("/tmp/sh")),
        ] {
            let mut event = place.guard(in_shell);
            *event.pointer_mut(path).unwrap() = value;
            assert!(!place.is_out(&event), "{path}: {event:#}");
        }
        assert!(place.is_out(&place.shell()) && place.is_out(&place.connection()) && place.is_out(&place.beside()));
    }

    #[test]
    fn the_token_of_an_ended_probe_hides_nothing() {
        let place = Place::new(false);
        assert!(!place.is_out(&place.shell()) && !place.is_out(&place.connection()));
    }

    #[test]
    fn a_probe_hides_as_many_events_as_it_makes() {
        let place = Place::new(true);
        let mut left = place.left();
        assert!(left.out(&mut Event::of(&place.shell())));
        for id in ["a-3", ""] {
            let mut event = place.shell();
            event["event"]["id"] = id.into();
            assert!(!left.out(&mut Event::of(&event)), "{id:?}");
        }
        let note = left.note().unwrap();
        assert!(note.contains("1 event of doctor's") && note.contains("2 more with its mark"), "{note}");
        let guards = (0..100).filter(|at| {
            let mut event = place.guard(false);
            event["event"]["id"] = format!("g-{at}").into();
            left.out(&mut Event::of(&event))
        });
        assert_eq!(guards.count(), 8);
    }

    #[test]
    fn an_event_does_not_call_itself_a_probe() {
        let mut left = Left::by(Path::new("/nowhere"), true);
        let mut event = Event::of(&json!({ "portcullis": { "probe": true } }));
        assert!(!left.out(&mut event) && !event.is_probe());
    }

    #[test]
    fn whoever_may_not_read_the_list_sees_all_and_is_told() {
        let place = Place::new(true);
        std::fs::set_permissions(place.list(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let mut left = place.left();
        assert!(!left.out(&mut Event::of(&place.shell())));
        let note = left.note().unwrap();
        assert!(note.contains("the list of probes cannot be read") && note.contains("others can write it"), "{note}");
        let mut left = Left::by(Path::new("/nowhere"), false);
        assert!(!left.out(&mut Event::of(&place.shell())) && left.note().unwrap().contains("No such file"));
    }
}
