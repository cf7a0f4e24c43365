//! `--help`, man pages, and the hints for a mistyped command line.

use crate::{place, run, text, verbs};

#[test]
fn each_help_has_examples_and_exit_statuses() {
    let place = place();
    let verbs = verbs(place.path());
    assert!(verbs.len() >= 12, "{verbs:?}");
    for verb in verbs {
        for flag in ["-h", "--help"] {
            let help = text(&run(place.path(), &[&verb, flag]));
            let example = format!("  portcullis {verb}");
            assert!(help.contains(&format!("Examples:\n{example}")), "{verb} {flag}: {help}");
            assert!(help.contains("Exit status:\n  ") && help.contains("2  usage error"), "{verb} {flag}: {help}");
        }
    }
}

#[test]
fn a_mistyped_verb_suggests_no_hidden_one() {
    let place = place();
    let shown = verbs(place.path());
    for hidden in ["probe", "generate", "renew", "supervise"] {
        assert!(!shown.iter().any(|verb| verb == hidden), "{hidden}");
        for mistyped in [&hidden[..hidden.len() - 1], &format!("{hidden}s"), "frob"] {
            let done = run(place.path(), &[mistyped]);
            assert_eq!(done.status.code(), Some(2), "{mistyped}");
            assert!(!text(&done).contains(&format!("'{hidden}'")), "{mistyped}: {}", text(&done));
            assert!(!text(&done).lines().any(|line| line.trim() == "tip:"), "{mistyped}: {}", text(&done));
        }
    }
    assert!(text(&run(place.path(), &["chek"])).contains("'check'"));
}

/// An argument that a verb does not take: what to type instead.
#[test]
fn a_word_that_a_verb_does_not_take_gets_a_hint() {
    let place = place();
    let slips: [(&[&str], &str); 9] = [
        (&["status", "nginx"], "`portcullis doctor nginx` tests one"),
        (&["check", "p.toml"], "portcullis check --config p.toml"),
        (&["compile", "p.toml"], "portcullis compile --config p.toml"),
        (&["apply", "nginx"], "portcullis apply --config nginx"),
        (&["panic", "nginx"], "it is for every guarded unit"),
        (&["explain", "id"], "--exec 'id'"),
        (&["run", "php"], "-- php"),
        (&["ps", "nginx", "apache2"], "it takes one unit: `portcullis ps apache2`"),
        (&["events", "nginx"], "help: name a file of events"),
    ];
    for (arguments, wanted) in slips {
        let done = run(place.path(), arguments);
        assert!(!done.status.success() && text(&done).contains(wanted), "{arguments:?}: {}", text(&done));
    }
}

/// What is chosen and what is done with it are apart.
#[test]
fn options_of_events_are_in_groups() {
    let place = place();
    for verb in ["events", "learn", "report", "top"] {
        let help = text(&run(place.path(), &[verb, "--help"]));
        let (options, which) = help.split_once("\nWhich events:\n").expect("two groups");
        assert!(which.contains("--severity <LEVEL>") && which.contains("--probes"), "{verb}: {help}");
        assert!(options.contains("--config <FILE>") && !which.contains("--help"), "{verb}: {help}");
    }
}

/// The sections of the pages, in the order of man-pages(7).
#[test]
fn each_man_page_has_its_sections_in_order() {
    let place = place();
    run(place.path(), &["generate", "out"]);
    let order =
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SUBCOMMANDS", "EXIT STATUS", "EXAMPLES", "SEE ALSO", "VERSION"];
    let mut pages = 0;
    for page in std::fs::read_dir(place.path().join("out/man")).expect("pages") {
        let (name, text) =
            page.map(|page| (page.file_name(), std::fs::read_to_string(page.path()).expect("text"))).expect("a page");
        let heads: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix(".SH ")).map(|head| head.trim_matches('"')).collect();
        let places: Vec<Option<usize>> =
            heads.iter().map(|head| order.iter().position(|known| known == head)).collect();
        assert!(places.is_sorted() && !places.contains(&None), "{name:?}: {heads:?}");
        let is_verb = name != "portcullis.1";
        assert_eq!(heads.contains(&"EXAMPLES") && heads.contains(&"EXIT STATUS"), is_verb, "{name:?}: {heads:?}");
        pages += 1;
    }
    assert_eq!(pages, verbs(place.path()).len() + 1);
}

/// `--blocked` is the documented name; scripts of before have the other.
#[test]
fn learn_takes_both_words_for_what_was_blocked() {
    let place = place();
    for flag in ["--blocked", "--refused"] {
        let done = run(place.path(), &["learn", "--config", "p.toml", flag, "none.jsonl"]);
        assert!(done.status.success(), "{flag}: {}", text(&done));
    }
    let help = text(&run(place.path(), &["learn", "--help"]));
    assert!(help.contains("--blocked") && !help.contains("--refused"), "{help}");
}

/// One word for one outcome: an action is BLOCKED or WENT AHEAD. A policy denies, and the kernel refuses.
#[test]
fn no_help_has_another_word_for_blocked() {
    let place = place();
    for verb in verbs(place.path()) {
        let help = text(&run(place.path(), &[&verb, "--help"])).to_lowercase();
        for word in ["denied", "refused", "denial"] {
            assert!(!help.contains(word), "{verb}: {help}");
        }
    }
}
