//! What makes an incident: a fresh script, a person's word, a proxy.

use crate::{connection, example, learn};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A script that was written right before its first event is an upload; one that is known for longer was updated.
#[test]
fn a_script_that_was_just_written_is_no_evidence() {
    // No folder of files that anybody may write, as /tmp is.
    let target = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().expect("a folder");
    let folder = tempfile::tempdir_in(target).expect("a folder");
    let script = folder.path().join("page.php");
    std::fs::write(&script, "").expect("a file");
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        i64::try_from(since.as_secs()).expect("a number")
    };
    let owner = std::fs::metadata(&script).expect("a file").uid();
    let of = |user: u32, seconds: i64, client: u32| {
        let mut event = connection("blog", 1, &format!("203.0.113.{client}"), "late.example");
        event["@timestamp"] = jiff::Timestamp::from_second(seconds).expect("a time").to_string().into();
        event["portcullis"]["request"]["script"] = script.to_str().expect("a path").into();
        event["http"]["request"]["id"] = format!("{client:016x}").into();
        event["user"]["id"] = user.to_string().into();
        event
    };
    let at = |seconds: i64, client: u32| of(owner, seconds, client);
    let begun = now();
    let events = [at(begun + 60, 1), at(begun + 7200, 2), at(begun + 9000, 3)];
    let (proposed, refused) = learn(&events, &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("the script was written at"), "{proposed:?} {refused:?}");
    let known = [&events[..], &[at(begun - 86_400, 4)]].concat();
    assert_eq!(learn(&known, &[]).0, [["egress.allow", "late.example:4444"]]);
    let later = [at(begun + 7200, 2), at(begun + 9000, 3)];
    assert_eq!(learn(&later, &[]).0, [["egress.allow", "late.example:4444"]]);
    // What the server's user cannot write was installed.
    let other = if owner == 0 { 33 } else { owner + 1 };
    let installed = [of(other, begun + 60, 1), of(other, begun + 7200, 2), of(other, begun + 9000, 3)];
    let allow = |mode: u32| {
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).expect("a file");
        learn(&installed, &[]).0.len()
    };
    assert_eq!([0o644, 0o664, 0o646].map(allow), [1, 0, 0]);
    let several = [&installed[..], &[at(begun + 9500, 4)]].concat();
    allow(0o644);
    assert!(learn(&several, &[]).0.is_empty(), "one of its users can write it");
}

/// Whoever writes events cannot make ordinary ones look like an intrusion, and a person's word counts for all that belongs to it.
#[test]
fn what_makes_an_intrusion_can_be_named_and_not_be_made_up() {
    let mut metadata = connection("blog", 1, "203.0.113.1", "");
    for key in ["rule", "event", "destination"] {
        metadata[key] = example("metadata")[key].clone();
    }
    let ordinary = [2, 3].map(|day| connection("blog", day, "203.0.113.7", "mail.example"));
    let all = [&[metadata.clone()], &ordinary[..]].concat();
    assert!(learn(&all, &[]).0.is_empty(), "the script is that of the intrusion");
    let to = "169.254.169.254:80";
    let named: Vec<String> = learn(&all, &["--include", to]).0.into_iter().map(|[_, entry]| entry).collect();
    assert_eq!(named, [to, "mail.example:4444"]);
    metadata["portcullis"]["contradicted"] = json!({ "user.id": "1000" });
    let proposed = learn(&[&[metadata], &ordinary[..]].concat(), &[]).0;
    assert_eq!(proposed, [["egress.allow", "mail.example:4444"]]);
}

/// A proxy's address is that of every visitor.
#[test]
fn a_proxy_is_no_client() {
    let grave = |client: &str| {
        let mut event = connection("blog", 1, client, "");
        for key in ["rule", "event", "destination"] {
            event[key] = example("metadata")[key].clone();
        }
        event
    };
    let proposed = |client: &str, more: &[&str]| {
        let ordinary = [2, 3].map(|day| connection("shop", day, client, "mail.example"));
        learn(&[&[grave(client)], &ordinary[..]].concat(), more).0.len()
    };
    assert_eq!(proposed("10.0.0.5", &[]), 0);
    assert_eq!(proposed("10.0.0.5", &["--proxy", "10.0.0.5"]), 1);
    assert_eq!((proposed("127.0.0.1", &[]), proposed("::1", &[])), (1, 1));
}
