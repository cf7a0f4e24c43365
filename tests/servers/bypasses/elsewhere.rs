//! A program in another root folder that puts something else in the place of what the guard hands down, or at the paths of policy
//! and log, or has no room for it.

use super::compile;
use crate::elsewhere::{ask, configuration, place_library, start, start_one};
use crate::harness::{Guard, Parts, Place, enter};
use crate::jails::jail;
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

const JOURNAL: &str = "/run/systemd/journal/socket";

fn jail_with_helper(place: &Place) -> PathBuf {
    let root = jail(place);
    place_library(place);
    std::fs::copy(compile(place, "elsewhere", &["-pthread"]), root.join("bin/elsewhere")).expect("a copy");
    for folder in ["tmp", "log"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
        chown(root.join(folder), Some(33), Some(33)).expect("www-data's");
    }
    root
}

/// What a program is handed down outlasts that it closes all descriptors, or puts its own in their places.
#[test]
fn a_program_that_closes_all_descriptors_keeps_its_sinks() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    std::fs::copy(super::compile(&place, "closing", &[]), root.join("bin/closing")).expect("a copy");
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start(&place, Some(&guard), Some(&root));
    let mut events = guard.events();
    for way in ["close", "close_range", "pieces", "closefrom", "syscall", "syscall of one", "duplicate", "vfork"] {
        let said = ask(&server, "blog.example", &format!("/bin/closing|{way}"));
        assert!(said.contains("through"), "{way}: {said}");
        let seen = events.fresh();
        let seen = chains(&seen);
        assert!(seen.iter().any(|chain| chain.ends_with("closing > dash")), "{way}: {seen:#?}");
        assert!(seen.iter().any(|chain| chain.ends_with("dash > sh")), "{way}: {seen:#?}");
    }
}

/// A program that closes until nothing is open ends: it is told the truth in the end, and the log has why it says no more.
#[test]
fn a_program_that_closes_until_nothing_is_open_ends() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    std::fs::copy(super::compile(&place, "closing", &[]), root.join("bin/closing")).expect("a copy");
    let guard = place.guard_of_every_event("mode = \"audit\"\n");
    let server = start(&place, Some(&guard), Some(&root));
    let mut events = guard.events();
    let said = ask(&server, "blog.example", "/bin/closing|until none");
    assert!(said.contains("through"), "{said}");
    let seen = events.fresh();
    let is_told = |event: &Value| event.text("message").contains("closes its descriptors until none is open");
    assert_eq!(seen.iter().filter(|event| is_told(event)).count(), 1, "{seen:#?}");
}

/// Whoever has a descriptor of a socket can connect it anew, and shut it down, for all that have one of the same open file description.
/// Another socket may have the journal's name there.
#[test]
fn a_program_leads_nobody_elses_events_to_itself() {
    enter();
    std::fs::create_dir_all("/run/systemd/journal").expect("folders");
    let journal = UnixDatagram::bind(JOURNAL).expect("a socket");
    journal.set_nonblocking(true).expect("nonblocking");
    let fresh = || {
        let mut bytes = vec![0; 1 << 16];
        let mut all = String::new();
        while let Ok(len) = journal.recv(&mut bytes) {
            all += &String::from_utf8_lossy(&bytes[..len]);
        }
        all
    };
    for (way, argument, wanted) in
        [("rebind", "/tmp/mine", "led 1, came 0"), ("rebind", JOURNAL, "led 1"), ("shut", "", "shut 0")]
    {
        let place = Place::new();
        let root = jail_with_helper(&place);
        let own = root.join("run/systemd/journal");
        std::fs::create_dir_all(&own).expect("folders");
        chown(&own, Some(33), Some(33)).expect("www-data's");
        let text = configuration("off") + "[log]\nsink = [\"journald\"]\nmerge = false\n";
        let guard = Guard::new(&place, place.write("etc/portcullis.toml", &text), place.join("log/none"));
        let server = start_one(&place, &guard, &root);
        let shell = "/bin/dash|-c|/bin/sh -c 'echo through'";
        assert!(ask(&server, "blog.example", shell).contains("through"));
        assert!(fresh().contains("dash > sh"));
        let said = ask(&server, "blog.example", &format!("/bin/elsewhere|{way}|{argument}"));
        assert!(said.contains(wanted), "{way} {argument}: {said}");
        fresh();
        // What nobody hears of is refused, since a virtual host of the server is in enforce.
        let said = ask(&server, "blog.example", shell);
        assert!(!said.contains("through"), "{way} {argument}: {said}");
        let seen = fresh();
        assert!(seen.contains("pool www > dash"), "{way} {argument}: the worker's own event: {seen}");
    }
}

/// A descriptor of the log that does not write, in the place of a sink, and none at all.
#[test]
fn a_program_that_is_handed_no_sink_that_writes_may_do_the_least() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    std::fs::create_dir_all(root.join("proc")).expect("a folder");
    assert!(Command::new("mount").args(["--bind", "/proc"]).arg(root.join("proc")).status().expect("mount").success());
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start_one(&place, &guard, &root);
    let mut events = guard.events();
    assert!(ask(&server, "blog.example", "/bin/dash|-c|/bin/sh -c 'echo through'").contains("through"));
    let set = |mode| std::fs::set_permissions(&guard.log, PermissionsExt::from_mode(mode)).expect("permissions");
    set(0o666);
    for way in ["path", "reading", "closed"] {
        events.fresh();
        let said = ask(&server, "blog.example", &format!("/bin/elsewhere|mute|{way}"));
        assert!(!said.contains("through") && !said.contains("log:"), "{way}: {said}");
        let seen = events.fresh();
        assert!(chains(&seen).iter().any(|chain| chain.ends_with("elsewhere > dash")), "{way}: {seen:#?}");
    }
    // The next one has its sinks.
    assert!(ask(&server, "blog.example", "/bin/dash|-c|/bin/sh -c 'echo through'").contains("through"));
}

/// A descriptor of a file that can be overwritten is not handed to a user who may not open it.
#[test]
fn a_program_is_handed_no_log_that_its_user_may_not_open() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start(&place, Some(&guard), Some(&root));
    let flags = || ask(&server, "blog.example", "/bin/elsewhere|flags|");
    assert!(flags().contains("0\n"));
    std::fs::set_permissions(&guard.log, PermissionsExt::from_mode(0o640)).expect("permissions");
    let said = flags();
    assert!(said.starts_with("through"), "{said}");
}

/// Nor do flags that a program takes from the log's descriptor count for others.
#[test]
fn a_program_makes_nobody_overwrite_the_log() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start(&place, Some(&guard), Some(&root));
    ask(&server, "blog.example", "/bin/dash|-c|/bin/sh -c 'echo through'");
    let before = std::fs::read_to_string(&guard.log).expect("a log");
    assert!(ask(&server, "blog.example", "/bin/elsewhere|flags|").contains("0\n"));
    ask(&server, "blog.example", "/bin/dash|-c|/bin/sh -c 'echo through'");
    let after = std::fs::read_to_string(&guard.log).expect("a log");
    assert!(after.starts_with(&before), "{after}");
    assert!(
        after[before.len()..].contains("elsewhere > dash") && after[before.len()..].contains("dash > sh"),
        "{after}"
    );
}

fn chains(events: &[Value]) -> Vec<&str> {
    let shells = events.iter().filter(|event| event.text("rule.id") == "shell-spawn");
    shells.map(|event| event.text("portcullis.chain")).collect()
}

#[test]
fn what_is_handed_down_is_told_from_what_is_put_in_its_place() {
    enter();
    for layer in ["off", "supervise"] {
        let place = Place::new();
        let root = jail_with_helper(&place);
        // One that refuses nothing, and says of itself that it is the tree's.
        let lenient = place.guard_of_every_event("mode = \"off\"\n");
        let compile = |config: &PathBuf| {
            assert!(place.portcullis().args(["compile", "--config"]).arg(config).status().expect("a status").success());
        };
        compile(&lenient.config);
        let mut forged = std::fs::read(lenient.policy()).expect("a policy");
        let guard = place.guard_of_every_event(
            &configuration(layer).replace("loader-env]\nmode = \"enforce\"", "loader-env]\nmode = \"audit\""),
        );
        compile(&guard.config);
        let own = std::fs::read(guard.policy()).expect("a policy");
        forged[16..24].copy_from_slice(&own[16..24]);
        std::fs::write(root.join("www/forged"), forged).expect("a file");
        let server = start(&place, Some(&guard), Some(&root));
        let mut events = guard.events();
        for (way, argument) in [("policy", "/www/forged"), ("sink", "/tmp/mine")] {
            for (host, is_refused) in [("blog.example", false), ("shop.example", true)] {
                let said = ask(&server, host, &format!("/bin/elsewhere|{way}|{argument}"));
                let seen = events.fresh();
                assert!(!chains(&seen).is_empty(), "{layer} {host} {way}: {said} {seen:#?}");
                // Without what it was handed, a program has the strictest lists: one with the forged policy would start the shell.
                let may_start = !is_refused && way == "sink";
                assert!(may_start || !said.contains("through"), "{layer} {host} {way}: {said}");
            }
        }
        assert_eq!(std::fs::read_to_string(root.join("tmp/mine")).expect("a file"), "");
    }
}

/// Neither a log of its own at the log's path, nor a policy that root has placed in it, nor a failing call takes the events away.
#[test]
fn events_arrive_wherever_its_paths_lead() {
    enter();
    for layer in ["off", "supervise"] {
        let place = Place::new();
        let root = jail_with_helper(&place);
        let guard = place.guard_of_every_event(&configuration(layer));
        let server = start(&place, Some(&guard), Some(&root));
        let within = |path: PathBuf| root.join(path.strip_prefix("/").expect("a path"));
        let (policy, log) = (within(guard.policy()), within(guard.log.clone()));
        let mut events = guard.events();
        let mut hold = |what: &str, words: &str| {
            let said = ask(&server, "blog.example", words);
            assert!(said.contains("through"), "{layer} {what}: {said}");
            let seen = events.fresh();
            assert!(chains(&seen).iter().any(|chain| chain.ends_with("dash > sh")), "{layer} {what}: {seen:#?}");
        };
        hold("nothing", "/bin/dash|-c|/bin/sh -c 'echo through'");
        hold("a call that fails", "/bin/elsewhere|chroot|/x");
        std::fs::create_dir_all(policy.parent().expect("a folder")).expect("folders");
        std::fs::copy(guard.policy(), &policy).expect("a copy");
        hold("a copy of the policy", "/bin/dash|-c|/bin/sh -c 'echo through'");
        std::fs::create_dir_all(log.parent().expect("a folder")).expect("folders");
        chown(log.parent().expect("a folder"), Some(33), Some(33)).expect("www-data's");
        hold("a folder for a log", "/bin/dash|-c|/bin/sh -c 'echo through'");
        std::fs::write(&log, "").expect("a file");
        chown(&log, Some(33), Some(33)).expect("www-data's");
        hold("a log", "/bin/dash|-c|/bin/sh -c 'echo through'");
        assert_eq!(std::fs::read_to_string(&log).expect("a file"), "");
    }
}

/// Where no descriptor of a high number is free, the policy alone is handed down.
#[test]
fn at_a_low_limit_of_descriptors_programs_start() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start(&place, Some(&guard), Some(&root));
    for number in ["8", "12", "64"] {
        let said = ask(&server, "blog.example", &format!("/bin/elsewhere|limit|{number}"));
        assert!(said.contains("through"), "{number}: {said}");
    }
}

#[test]
fn threads_hand_nothing_to_each_others_programs() {
    enter();
    let place = Place::new();
    let root = jail_with_helper(&place);
    let bare = ask(&start(&place, None, Some(&root)), "blog.example", "/bin/elsewhere|threads|");
    assert!(bare.starts_with(|byte: char| byte.is_ascii_digit()), "{bare}");
    let guard = place.guard_of_every_event(&configuration("off"));
    let server = start(&place, Some(&guard), Some(&root));
    assert_eq!(ask(&server, "blog.example", "/bin/elsewhere|threads|"), bare);
}
