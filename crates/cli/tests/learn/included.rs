//! What a person names to be included: it is proposed, or the command says what is wrong and proposes nothing.

use crate::{Place, connection, example, learn, misused};
use serde_json::Value;

const ENTRY: &str = "192.88.1.10:4444";

fn events() -> Vec<Value> {
    [1, 9].map(|day| connection("blog", day, &format!("203.0.113.{day}"), "")).to_vec()
}

#[test]
fn a_name_of_no_entry_is_a_wrong_use() {
    let said = misused(&events(), &["--include", "192.88.1.10:444"]);
    assert!(said.contains("--include 192.88.1.10:444 is no entry that these events need; known: 192.88.1.10:4444"));
    assert!(said.contains("nothing was proposed or written"), "{said}");
    // One that is right does not hide another.
    let said = misused(&events(), &["--include", ENTRY, "--include", "$(id)\u{1b}[2J"]);
    assert!(said.contains(r"--include $'$(id)\033[2J' is no entry") && !said.contains('\u{1b}'), "{said}");
    let said = misused(&[], &["--include", ENTRY]);
    assert!(said.contains("they need none"), "{said}");
}

#[test]
fn nothing_is_written_for_a_name_of_no_entry() {
    let place = Place::new(&["blog"], &events());
    let before = place.text("vhosts.d/blog.toml");
    let named = ["learn", "--include", "192.88.1.10:444", "--include-rare", "--write-all", "--yes"];
    let (status, said) = place.run(&named);
    assert!(status == Some(2) && place.text("vhosts.d/blog.toml") == before, "{said}");
    let named = ["learn", "--include", ENTRY, "--write-all", "--yes"];
    let (status, said) = place.run(&named);
    assert!(status == Some(0) && place.text("vhosts.d/blog.toml").contains(ENTRY), "{said}");
}

/// The same command once more is no wrong use.
#[test]
fn what_is_allowed_already_is_said() {
    let all = [1, 9].map(|day| connection("", day, &format!("203.0.113.{day}"), ""));
    let (place, named) = (Place::new(&[], &all), ["learn", "--include", ENTRY, "--write-all", "--yes"]);
    let (status, said) = place.run(&named);
    assert!(status == Some(0) && place.text("portcullis.toml").contains(ENTRY), "{said}");
    let (status, said) = place.run(&named);
    assert!(
        status == Some(0) && said.contains("192.88.1.10:4444 is not needed: the policy allows its events"),
        "{said}"
    );
}

/// An entry is no reason to learn from events that are left out.
#[test]
fn an_entry_of_events_that_are_left_out_is_said() {
    let mut blocked = example("egress-port");
    blocked["event"]["outcome"] = "failure".into();
    let entry = learn(std::slice::from_ref(&blocked), &["--blocked"]).0[0][1].clone();
    let said = misused(std::slice::from_ref(&blocked), &["--include", &entry]);
    assert!(said.contains("only events need it that are not learnt from; help: --blocked"), "{said}");
    assert_eq!(learn(&[blocked], &["--blocked", "--include", &entry]).0[0][1], entry);
    let said = misused(&events(), &["--include", ENTRY, "--client", "198.51.100.7"]);
    assert!(said.contains("only events need it that are not learnt from"), "{said}");
}

/// A pattern in the place of entries is what was named.
#[test]
fn an_entry_that_a_pattern_covers_is_included() {
    let all: Vec<Value> = (1..=4)
        .map(|number| {
            let mut event = connection("blog", number, &format!("203.0.113.{number}"), "");
            event["destination"]["ip"] = format!("192.88.1.{number}").into();
            event
        })
        .collect();
    let proposed = learn(&all, &["--widen", "--include", "192.88.1.3:4444"]).0;
    assert!(proposed.len() == 1 && proposed[0][1].contains('/'), "{proposed:?}");
}
