//! A descendant that cannot use its tree's policy: it gets no milder one, an event says so, and it has no key to the backstop.

use super::{compile, run_page};
use crate::harness::{Fpm, Guard, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, enter, http};
use serde_json::Value;

/// Outside the common ports; the second is allowed by the policy.
const REFUSED: u16 = 4444;
const ALLOWED: u16 = 4445;

/// How often a server starts beside somebody who replaces its policy.
const STARTS: usize = 20;

struct Site {
    place: Place,
    guard: Guard,
    nginx: Nginx,
    _fpm: Fpm,
    helper: String,
}

fn site(mode: &str, seccomp: &str) -> Site {
    site_with(mode, seccomp, &["-static"])
}

fn site_with(mode: &str, seccomp: &str, flags: &[&str]) -> Site {
    let place = Place::new();
    place.pages();
    run_page(&place);
    let helper = compile(&place, "hide", flags);
    let config = format!(
        "mode = \"{mode}\"\n[egress]\nallow = [\"{OUTSIDE4}:{ALLOWED}\"]\n[backstop]\nseccomp = \"{seccomp}\"\n\
         [rules.exec-place]\nmode = \"off\"\n"
    );
    let guard = place.guard_of_every_event(&config);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, Some(&guard), &fpm.nginx_location(&place.join("www")));
    Site { place, guard, nginx, _fpm: fpm, helper }
}

impl Site {
    /// What became of a connection by perl to `port`, started by the helper.
    fn connects(&self, way: &str, argument: &str, port: u16) -> bool {
        let perl = format!(
            "use IO::Socket::INET; print IO::Socket::INET->new(PeerAddr => '{OUTSIDE4}:{port}', Timeout => 5) ? 'through' : 'refused'"
        );
        let words = [&self.helper, way, argument, "/usr/bin/perl", "-e", &perl];
        let answer = super::run(self.nginx.port, "localhost", &words);
        assert!(answer.contains("through") != answer.contains("refused"), "{way} {port}: {answer}");
        answer.contains("through")
    }
}

/// The helper that such a site can have: without the guard in it, the supervisor lets it start nothing in namespaces of its own.
fn helper(seccomp: &str) -> &'static [&'static str] {
    if seccomp == "supervise" { &[] } else { &["-static"] }
}

/// What a program without the guard starts in namespaces of its own is unknown to the supervisor: others may mount over its path, and
/// say what its format is.
#[test]
fn namespaces_without_the_guard_start_nothing_in_enforce() {
    enter();
    let site = site("enforce", "supervise");
    let mut events = site.guard.events();
    for (way, argument, unknown) in [("user", "", "format"), ("mount", "/run/portcullis", "format")] {
        let words = [&site.helper, way, argument, "/bin/true"];
        let answer = super::run(site.nginx.port, "localhost", &words);
        assert!(answer.contains("Permission denied"), "{way}: {answer}");
        let fresh = events.fresh();
        assert!(
            fresh.iter().any(|event| {
                event.text("portcullis.unknown") == unknown && event.text("event.outcome") == "failure"
            }),
            "{way}: {fresh:#?}"
        );
    }
}

/// The rules, outcomes, layers and what is unknown of events.
fn facts(events: &[Value]) -> Vec<[&str; 4]> {
    let mut facts: Vec<[&str; 4]> = events
        .iter()
        .filter(|event| ["egress-port", "guard-policy"].contains(&event.text("rule.id")))
        .map(|event| {
            [
                event.text("rule.id"),
                event.text("event.outcome"),
                event.text("portcullis.layer"),
                event.text("portcullis.unknown"),
            ]
        })
        .collect();
    facts.sort_unstable();
    facts
}

const LOST: [&str; 4] = ["guard-policy", "success", "libc", "policy"];

/// The policy's file is hidden by a mount in a namespace of the process's own: where it cannot be handed down, the built-in lists
/// hold, as strictly as the policy does anywhere.
#[test]
fn a_hidden_policy_is_no_milder() {
    enter();
    let _listeners = Listeners::on(&[REFUSED, ALLOWED]);
    for seccomp in ["off", "supervise"] {
        let site = site_with("enforce", seccomp, helper(seccomp));
        let mut events = site.guard.events();
        assert!(site.connects("nothing", "", ALLOWED), "{seccomp}");
        assert!(!site.connects("nothing", "", REFUSED), "{seccomp}");
        assert_eq!(facts(&events.fresh()), [["egress-port", "failure", "libc", ""]], "{seccomp}");
        for way in ["mount", "alone"] {
            assert!(!site.connects(way, "/run/portcullis", REFUSED), "{seccomp}: connected where the policy is hidden");
            let fresh = events.fresh();
            // A helper that has the guard hands the policy down, where it can.
            let is_lost = seccomp == "off" || way == "alone";
            assert_eq!(
                facts(&fresh),
                [&[["egress-port", "failure", "libc", ""]], &[LOST][..usize::from(is_lost)]].concat(),
                "{seccomp}"
            );
            assert_eq!(site.connects(way, "/run/portcullis", ALLOWED), !is_lost, "{seccomp} {way}");
            events.fresh();
        }
    }
}

/// In audit everything goes on, with one event: the supervisor's, which sees what the hooks let pass, since there is no key.
#[test]
fn without_the_policy_there_is_no_key() {
    enter();
    let _listeners = Listeners::on(&[REFUSED]);
    // With the guard in the helper, which hands the key on.
    let site = site_with("audit", "supervise", &[]);
    let mut events = site.guard.events();
    assert!(site.connects("nothing", "", REFUSED));
    assert_eq!(facts(&events.fresh()), [["egress-port", "success", "libc", ""]]);
    assert!(site.connects("alone", "/run/portcullis", REFUSED));
    assert_eq!(facts(&events.fresh()), [["egress-port", "success", "backstop", ""], LOST]);
    assert!(site.connects("mount", "/run/portcullis", REFUSED));
    assert_eq!(facts(&events.fresh()), [["egress-port", "success", "libc", ""]]);
}

/// In a user namespace root's file belongs to nobody: it is the tree's own all the same, and the whole policy holds.
#[test]
fn in_a_user_namespace_the_policy_holds() {
    enter();
    let _listeners = Listeners::on(&[REFUSED, ALLOWED]);
    for seccomp in ["off", "supervise"] {
        let site = site_with("enforce", seccomp, helper(seccomp));
        let mut events = site.guard.events();
        assert!(!site.connects("user", "", REFUSED), "{seccomp}: connected in a user namespace");
        assert!(site.connects("user", "", ALLOWED), "{seccomp}: what the policy allows");
        assert_eq!(facts(&events.fresh()), [["egress-port", "failure", "libc", ""]], "{seccomp}");
    }
}

/// The file is gone, cut, of another version (as after an upgrade), another user's, or writable by others.
#[test]
fn a_policy_that_changed_for_the_worse_changes_nothing() {
    enter();
    let _listeners = Listeners::on(&[REFUSED, ALLOWED]);
    for seccomp in ["off", "supervise"] {
        let site = site("enforce", seccomp);
        let policy = site.guard.policy();
        let good = std::fs::read(&policy).expect("the policy");
        let mut events = site.guard.events();
        let change = |what: &str| {
            // Another file each time: the one that is mapped stays as it is.
            let new = site.place.join("new");
            let bytes = match what {
                "cut" => good[..good.len() / 2].to_vec(),
                // The version stands behind the magic.
                "version" => [&good[..8], &[good[8] + 1], &good[9..]].concat(),
                _ => good.clone(),
            };
            std::fs::write(&new, bytes).expect("a file");
            let mode = if what == "writable" { 0o666 } else { 0o644 };
            std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("permissions");
            let owner = if what == "foreign" { 65534 } else { 0 };
            std::os::unix::fs::chown(&new, Some(owner), None).expect("chown");
            // Over a rename's head: the place is another file system's.
            let there = policy.with_extension("there");
            std::fs::remove_file(&policy).expect("the policy");
            if what != "gone" {
                std::fs::copy(&new, &there).expect("a copy");
                std::os::unix::fs::chown(&there, Some(owner), None).expect("chown");
                std::fs::rename(&there, &policy).expect("the place");
            }
        };
        for what in ["cut", "version", "foreign", "writable", "gone"] {
            change(if what == "gone" { what } else { "good" });
            if what != "gone" {
                assert!(!site.connects("nothing", "", REFUSED), "{seccomp}");
                // A good file in its place is as good.
                assert_eq!(facts(&events.fresh()), [["egress-port", "failure", "libc", ""]], "{seccomp}, {what}");
                change(what);
            }
            // The one in memory is handed down.
            assert!(!site.connects("nothing", "", REFUSED), "{seccomp}: connected with a policy that is {what}");
            assert!(site.connects("nothing", "", ALLOWED), "{seccomp}: the policy is {what}");
            assert_eq!(facts(&events.fresh()), [["egress-port", "failure", "libc", ""]], "{seccomp}, {what}");
        }
        std::fs::write(&policy, &good).expect("the policy");
    }
}

/// The supervisor begins later than its server, whose policy may be another one or half of one by then, or gone: it has its server's.
#[test]
fn a_supervisor_has_the_policy_that_its_server_had() {
    enter();
    let _listeners = Listeners::on(&[REFUSED]);
    let place = Place::new();
    let guard = place.guard_of_every_event("mode = \"enforce\"\n[backstop]\nseccomp = \"supervise\"\n");
    let mut events = guard.events();
    let policy = guard.policy();
    // The first start compiles it.
    drop(Nginx::start(&place, Some(&guard), "location / { return 204; }"));
    let good = std::fs::read(&policy).expect("the policy");
    let put = |bytes: &[u8]| {
        let there = policy.with_extension("there");
        std::fs::write(&there, bytes).expect("a file");
        std::fs::rename(&there, &policy).expect("the place");
    };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                put(&good[..good.len() / 2]);
                put(&good);
            }
        });
        for _ in 0..STARTS {
            let nginx = Nginx::start(&place, Some(&guard), "location / { return 204; }");
            // A worker that answers has its supervisor.
            assert_eq!(http::get(nginx.port, "/").status, 204);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let fresh = events.fresh();
    let lost: Vec<_> = fresh.iter().filter(|event| event.text("portcullis.unknown") == "policy").collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// What was handed down is gone or damaged: the process is no master for that.
#[test]
fn a_damaged_context_makes_no_master() {
    enter();
    let _listeners = Listeners::on(&[REFUSED]);
    let site = site("enforce", "off");
    for context in ["", "x", "9;m;x", "1", "2;m;;;;;;;"] {
        assert!(!site.connects("context", context, REFUSED), "connected with the context {context:?}");
    }
    assert_eq!(http::get(site.nginx.port, "/way.php?way=list").status, 200);
}
