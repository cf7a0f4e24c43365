//! What `check` says of `[rules.loader-env] allow`: entries that never apply are named, with the place and what to write.
#![allow(clippy::disallowed_methods)]

use portcullis_config::{Severity, parse_text};
use std::path::Path;

#[test]
fn entries_that_never_apply_are_warned_of() {
    for (entry, message, help) in [
        ("LD_PRELOAD=/q", "without its name", Some("write `/q`")),
        ("LD_PRELOAD=", "no event", Some("remove it")),
        ("PYTHONPATH=", "no event", Some("remove it")),
        ("OPENSSL_CONF=/dev/null", "no event", Some("remove it")),
        ("HOME=/q", "reads a file there", Some("remove it")),
        ("PYTHONPATH=/q*", "is no pattern", Some("write each value in full")),
        ("PYTHONPATH=/q", "", None),
        ("NODE_ENV=production", "", None),
        ("ENV=", "", None),
        ("/opt/x*", "is no pattern", Some("write each value in full")),
        ("/opt/?.so", "is no pattern", Some("write each value in full")),
        ("/dev/null", "no event", Some("remove it")),
        ("/usr/lib/libportcullis.so:/opt/x.so", "library's own path", Some("write `/opt/x.so`")),
        ("/opt/x.so", "", None),
        ("--require=/opt/x.js", "", None),
        ("-Dname=value", "", None),
        ("FOO=/q", "", None),
        ("a=1", "", None),
    ] {
        for (head, prefix, line) in [("", "", 2), ("[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n", "vhost.", 5)]
        {
            let text = format!("{head}[{prefix}rules.loader-env]\nallow = [\"{entry}\"]\n");
            let loaded = parse_text(Path::new("/test.toml"), &text);
            assert!(loaded.diagnostics.iter().all(|one| one.severity == Severity::Warning), "{text}");
            let shown = loaded.diagnostics.iter().map(|one| one.render(false)).collect::<Vec<_>>().join("\n");
            match help {
                None => assert_eq!(shown, "", "{entry}"),
                Some(help) => {
                    for part in [message, &format!("/test.toml:{line}:10\n"), "^", "help: ", help] {
                        assert!(shown.contains(part), "{entry}: {part}\n{shown}");
                    }
                }
            }
        }
    }
}
