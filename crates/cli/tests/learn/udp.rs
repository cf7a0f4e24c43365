//! What is learnt of events of UDP sockets, and what is said of an entry whose events differ.

use crate::{Place, connection, example, learn};
use serde_json::Value;

/// A UDP socket that is only connected is no reason for an entry, and says nothing against what was sent.
#[test]
fn a_udp_connect_alone_is_not_learnt() {
    let of = |day: u32, rule: &str, detail: &str| {
        let mut event = connection("blog", day, &format!("203.0.113.{day}"), "");
        event["network"]["transport"] = "udp".into();
        event["rule"]["id"] = rule.into();
        event["portcullis"]["detail"] = detail.into();
        event
    };
    let connects = |rule: &str| [1, 9].map(|day| of(day, rule, "nothing sent yet")).to_vec();
    let sends = [2, 10].map(|day| of(day, "egress-port", "")).to_vec();
    let (proposed, refused) = learn(&connects("egress-port"), &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("only connected"), "{proposed:?} {refused:?}");
    let entry = [["egress.allow", "192.88.1.10:4444"]];
    assert_eq!(learn(&connects("egress-port"), &["--include", entry[0][1]]).0, entry);
    assert_eq!(
        learn(&[connects("egress-port"), sends.clone()].concat(), &[]),
        (entry.map(|words| words.map(String::from)).to_vec(), Vec::new())
    );
    // What is grave where something is sent makes no intrusion of what else its request does.
    let all = [connects("metadata"), sends.clone()].concat();
    assert_eq!(learn(&all, &[]).0, entry);
    // Other events have somebody's text there.
    let mut setting = example("php-ini");
    setting["http"]["request"]["id"] = sends[0]["http"]["request"]["id"].clone();
    setting["portcullis"]["detail"] = "nothing sent yet".into();
    let (proposed, refused) = learn(&[vec![setting], sends].concat(), &[]);
    assert!(
        proposed.is_empty() && refused.iter().any(|part| part[1].contains("intrusion")),
        "{proposed:?} {refused:?}"
    );
}

/// A reason that holds for some events of an entry says for how many, and the transport is told.
#[test]
fn a_reason_of_one_event_is_none_of_its_entry() {
    let of = |transport: &str, detail: &str, request: &str| {
        let mut event = connection("blog", 1, "203.0.113.1", "");
        event["network"]["transport"] = transport.into();
        event["portcullis"]["detail"] = detail.into();
        event["portcullis"]["request"]["script"] = "/srv/www/blog/uploads/x.php".into();
        event["http"]["request"]["id"] = request.into();
        event
    };
    let quiet = || of("udp", "nothing sent yet", "a0");
    let others = vec![of("tcp", "", "a1"), of("udp", "", "a2")];
    for events in [[vec![quiet()], others.clone()].concat(), [others, vec![quiet()]].concat()] {
        let (proposed, refused) = learn(&events, &[]);
        assert!(proposed.is_empty() && refused.len() == 1, "{proposed:?} {refused:?}");
        assert!(refused[0][1].starts_with("2 of 3: the script lies in a place for files"), "{refused:?}");
        assert!(refused[0][1].contains("; and: 1 of 3: a UDP socket was only connected"), "{refused:?}");
        let text = Place::new(&["blog"], &events).run(&["learn"]).1;
        assert!(text.contains("over tcp and udp"), "{text}");
    }
    // One that holds for all stands alone.
    let (_, refused) = learn(&[quiet()], &[]);
    assert!(refused[0][1].starts_with("a UDP socket was only connected"), "{refused:?}");
}

/// What would still be an event is what enforce would write: it writes none of a UDP socket that is only connected.
#[test]
fn a_check_models_a_udp_connect() {
    let mut event = connection("blog", 1, "203.0.113.1", "");
    event["network"]["transport"] = "udp".into();
    let sent = event.clone();
    event["portcullis"]["detail"] = "nothing sent yet".into();
    let checked = |events: &[Value], mode: &str| {
        let place = Place::new(&[], events);
        std::fs::write(place.0.path().join("portcullis.toml"), format!("mode = \"{mode}\"\n")).expect("a file");
        place.run(&["learn", "--check"])
    };
    let (status, text) = checked(&[event.clone()], "enforce");
    assert!(status == Some(0) && text.contains("1 of 1 action would be allowed"), "{text}");
    let (status, text) = checked(&[event.clone(), sent], "enforce");
    assert!(status == Some(1) && text.contains("1 of 2 actions would be allowed"), "{text}");
    // In audit it is written again, and the list says which it is.
    let (status, text) = checked(&[event], "audit");
    assert!(status == Some(1) && text.contains("(nothing sent yet)"), "{text}");
}
