//! What `check` warns of: entries that never apply, and entries that allow more than they say.
#![allow(clippy::disallowed_methods)]

use portcullis_config::{Severity, parse_text};
use std::os::unix::fs::symlink;
use std::path::Path;

/// The warnings of a text, as they are shown.
fn warnings(text: &str) -> Vec<String> {
    let loaded = parse_text(Path::new("/test.toml"), text);
    let errors: Vec<_> = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    loaded.diagnostics.iter().map(|one| one.render(false)).collect()
}

/// `text` has one warning, with all of these in it.
fn warned(text: &str, parts: &[&str]) {
    let found = warnings(text);
    let [warning] = found.as_slice() else { panic!("{text}\n{}", found.join("\n")) };
    assert!(warning.starts_with("warning: "), "{warning}");
    for part in parts {
        assert!(warning.contains(part), "{part}: {text}\n{warning}");
    }
}

fn silent(text: &str) {
    assert_eq!(warnings(text).join("\n"), "", "{text}");
}

#[test]
fn a_path_that_is_not_the_real_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    let at = |name: &str| format!("{}/{name}", root.display());
    std::fs::create_dir_all(at("usr/bin")).expect("folders");
    std::fs::create_dir_all(at("links")).expect("folders");
    symlink("usr/bin", at("bin")).expect("a link");
    for name in ["mailer4", "other"] {
        std::fs::write(at(&format!("usr/bin/{name}")), "").expect("a file");
    }
    symlink("mailer4", at("usr/bin/mailer")).expect("a link");
    symlink("../usr/bin/other", at("links/one")).expect("a link");
    for (table, key) in
        [("rules.exec-unguarded", "allow"), ("rules.namespace", "allow"), ("rules.exec-place", "places")]
    {
        let of_programs = key == "allow";
        let check = |path: &str, real: Option<&str>| {
            for (head, line) in [("", 2), ("[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n", 5)] {
                let prefix = if head.is_empty() { "" } else { "vhost." };
                let text = format!("{head}[{prefix}{table}]\n{key} = [\"{path}\"]\n");
                match real {
                    None => silent(&text),
                    Some(real) => warned(
                        &text,
                        &[
                            &format!("`{path}` never applies"),
                            "real path",
                            &format!("/test.toml:{line}:{}\n", key.len() + 5),
                            &format!("write `{real}`"),
                        ],
                    ),
                }
            }
        };
        check(&at("usr/bin/mailer4"), None);
        // A link, a path through one, one that is not there yet.
        check(&at("usr/bin/mailer"), Some(&at("usr/bin/mailer4")));
        check(&at("bin/mailer4"), Some(&at("usr/bin/mailer4")));
        check(&at("bin/mailer"), Some(&at("usr/bin/mailer4")));
        check(&at("bin/new"), Some(&at("usr/bin/new")));
        check(&at("usr/bin/new"), None);
        check(&at("usr//bin/./new"), Some(&at("usr/bin/new")));
        check(&at("usr/../usr/bin/other"), Some(&at("usr/bin/other")));
        if of_programs {
            check(&at("bin/*"), Some(&at("usr/bin/*")));
            check(&at("usr/bin/mail*"), None);
            check(&at("*/mailer4"), None);
            // Nothing but links.
            check(&at("links/*"), Some(&at("usr/bin/other")));
            check(&at("usr/bin/maile?"), Some(&at("usr/bin/mailer4")));
        }
    }
    // These are compared as they are written, or in both forms.
    silent(&format!("[exec]\nallow = [\"{} *\"]\n", at("bin/mailer")));
    silent(&format!("[[vhost]]\nname = \"a\"\nmatch = {{ document_root = \"{}\" }}\n", at("bin")));
}

#[test]
fn the_built_in_entries_are_not_warned_of() {
    silent("[rules.exec-unguarded]\nallow = [\"default\"]\n");
    silent("[exec]\nallow = [\"default\"]\n");
    silent("[rules.exec-place]\nplaces = [\"default\"]\n");
}

#[test]
fn a_program_that_runs_any_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    for name in ["su", "fping"] {
        std::fs::write(root.join(name), "").expect("a file");
    }
    let entry = |table: &str, path: &str| format!("[rules.{table}]\nallow = [\"{path}\"]\n");
    for name in [
        "su",
        "sudo",
        "env",
        "ssh-agent",
        "newgrp",
        "sg",
        "chroot",
        "unshare",
        "nsenter",
        "setpriv",
        "bwrap",
        "pkexec",
        "doas",
    ] {
        let path = format!("/nonexistent/{name}");
        let text = entry("exec-unguarded", &path);
        let outside = format!("`{path}` runs any command, and Portcullis is not active in that");
        warned(&text, &[&outside, "/test.toml:2:10\n", "^^^", "`[exec] allow`"]);
        warned(&entry("namespace", &path), &[&format!("`{path}` runs any command"), "namespaces", "^^^"]);
    }
    for name in ["php8.2", "python3.11", "perl", "bash", "php-fpm8.2"] {
        let path = format!("/nonexistent/{name}");
        warned(&entry("namespace", &path), &[&format!("`{path}` runs any command")]);
    }
    // Set-user-ID mailers that run commands by their arguments.
    for name in ["exim4", "msmtp", "suexec"] {
        warned(&entry("exec-unguarded", &format!("/nonexistent/{name}")), &["runs any command"]);
    }
    let pattern = format!("{}/*", root.display());
    warned(&entry("exec-unguarded", &pattern), &[&format!("`{pattern}` matches `su`, which runs any command")]);
    warned(&entry("exec-unguarded", "/srv/*/s?do"), &["matches `sudo`"]);
    for path in ["/nonexistent/fping", "/nonexistent/pythonic", "/nonexistent/chromium", "/nonexistent/surf*"] {
        silent(&entry("exec-unguarded", path));
        silent(&entry("namespace", path));
    }
    silent(&entry("exec-unguarded", &format!("{}/f*", root.display())));
    // Not to be written as its real path either.
    symlink(root.join("su"), root.join("s")).expect("a link");
    let found = warnings(&entry("exec-unguarded", &format!("{}/s", root.display())));
    let [never, runs] = found.as_slice() else { panic!("{}", found.join("\n")) };
    assert!(never.contains("never applies") && never.contains(&format!("its real path is `{}/su`", root.display())));
    assert!(runs.contains("runs any command"), "{runs}");
}

/// The warnings of ten thousand virtual hosts take no time that matters: a server waits five seconds for its policy.
#[test]
fn many_virtual_hosts_are_looked_at_quickly() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    for number in 0..2000 {
        std::fs::write(root.join(format!("program{number}")), "").expect("a file");
    }
    let mut text = String::new();
    for number in 0..2000 {
        let root = root.display();
        text += &format!(
            "[[vhost]]\nname = \"{number}\"\nmatch = {{ pool = \"{number}\" }}\n[vhost.rules.exec-unguarded]\nallow = [\"{root}/*\"]\n"
        );
    }
    let begun = std::time::Instant::now();
    silent(&text);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn an_allowed_command_that_runs_any_other() {
    let entry = |command: &str| format!("[exec]\nallow = [\"{command}\"]\n");
    for command in [
        "/nonexistent/env *",
        "/nonexistent/sudo * *",
        "/nonexistent/sudo -u bob *",
        "/nonexistent/su",
        "/nonexistent/su -",
        "/nonexistent/su bob -c *",
        "/nonexistent/sh",
        "/nonexistent/bash -s",
        "/nonexistent/sh *",
        "/nonexistent/dash -c *",
        "/nonexistent/php *",
        "/nonexistent/php8.2 -r *",
        "/nonexistent/python3",
        "/nonexistent/chroot /srv *",
        "/nonexistent/chroot /srv",
        "/nonexistent/timeout 5 *",
        "/nonexistent/nice -n 5 *",
        "/nonexistent/unshare",
        "/nonexistent/xargs *",
        "/nonexistent/ssh-agent *",
        "/nonexistent/awk * /etc/passwd",
    ] {
        warned(&entry(command), &["allows any command", "/test.toml:2:10\n", "^^^", "help: "]);
    }
    for command in [
        "/nonexistent/env",
        "/nonexistent/env /usr/bin/convert *",
        "/nonexistent/env A=1 /usr/bin/convert *",
        "/nonexistent/sudo /usr/local/sbin/rotate",
        "/nonexistent/sudo -u bob /usr/local/sbin/rotate *",
        "/nonexistent/su bob -c /usr/local/bin/x",
        "/nonexistent/sh /srv/x.sh",
        "/nonexistent/php /srv/shop/cron.php *",
        "/nonexistent/php artisan schedule:run",
        "/nonexistent/php artisan *",
        "/nonexistent/php -v",
        "/nonexistent/python3 -V",
        "/nonexistent/chroot /srv /bin/x *",
        "/nonexistent/timeout 5 /usr/bin/convert * *",
        "/nonexistent/convert * *",
        "/nonexistent/gs -q -sDEVICE=* -o * *",
        "/nonexistent/ssh-agent",
        "/nonexistent/sendmail -t -i -f*",
    ] {
        silent(&entry(command));
    }
    // Another program's name, and a pattern of names.
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    std::fs::write(root.join("su"), "").expect("a file");
    warned(&entry(&format!("{}/s* *", root.display())), &["`su` runs", "allows any command"]);
    let link = format!("{}/runs", root.display());
    symlink("/nonexistent/env", &link).expect("a link");
    warned(&entry(&format!("{link} *")), &["`env` runs", "allows any command"]);
    // An applet is not the program of all applets.
    symlink("busybox", root.join("wget")).expect("a link");
    silent(&entry(&format!("{}/wget *", root.display())));
    warned(&entry("/nonexistent/busybox *"), &["allows any command"]);
}

/// Virtual hosts with these matches, named a, b and so on, each on three lines.
fn vhosts(matches: &[&str]) -> String {
    let one = |(name, keys): (char, &&str)| format!("[[vhost]]\nname = \"{name}\"\nmatch = {{ {keys} }}\n");
    ('a'..).zip(matches).map(one).collect()
}

#[test]
fn a_virtual_host_that_is_never_selected() {
    let pool = "pool = \"www\"";
    let root = "document_root = \"/nonexistent/a\"";
    let cases: [(&[&str], &str); 7] = [
        (&[pool, pool], "`a` (/test.toml:2)"),
        (&["document_root = \"/nonexistent/a/\"", "document_root = \"/nonexistent/x/../a\""], "`a`"),
        (&["server_name = \"A.example.\"", "server_name = \"a.example\""], "`a`"),
        // Each alternative is that of an earlier one.
        (&["pool = [\"www\", \"api\"]", "pool = \"api\""], "`a`"),
        (&[pool, "pool = \"api\"", "pool = [\"www\", \"api\"]"], "`a` (/test.toml:2) and `b` (/test.toml:5)"),
        (
            &[
                "pool = [\"x\", \"y\"], document_root = [\"/nonexistent/a\", \"/nonexistent/b\"]",
                "pool = \"y\", document_root = \"/nonexistent/b\"",
            ],
            "`a`",
        ),
        (
            &["server_name = \"a\", server_name_from = \"any\"", "server_name = \"a\", server_name_from = \"any\""],
            "`a`",
        ),
    ];
    for (matches, winners) in cases {
        let text = vhosts(matches);
        let last = char::from(b'a' + matches.len() as u8 - 1);
        warned(&text, &[&format!("`{last}` is never selected"), winners, "matches first", "change one `match`"]);
    }
    let silents: [&[&str]; 6] = [
        &[pool, root],
        // The more specific one is selected, wherever it is written.
        &[root, "document_root = \"/nonexistent/a/b\""],
        &[root, "document_root = \"/nonexistent/a\", pool = \"www\""],
        &["server_name = \"*.example\"", "server_name = \"a.example\""],
        // One alternative is its own.
        &[pool, "pool = [\"www\", \"api\"]"],
        // Another source of the name.
        &["server_name = \"a\"", "server_name = \"a\", server_name_from = \"any\""],
    ];
    for matches in silents {
        silent(&vhosts(matches));
    }
}

/// What a shell is given behind `-c` is compared, and not the shell: an entry of both is like no process.
#[test]
fn a_command_that_no_process_is_like() {
    for entry in ["/bin/sh -c /usr/bin/id", "/usr/bin/bash -c -- '/usr/bin/id -u'"] {
        let command = entry.rsplit_once("-c ").expect("a command").1.trim_start_matches("-- ").trim_matches('\'');
        let text = format!("[exec]\nallow = [\"{entry}\"]\n");
        let found = warnings(&text).join("\n");
        assert!(
            found.contains(&format!("`{entry}` never applies")) && found.contains(&format!("write `{command}`")),
            "{found}"
        );
    }
    let found = warnings("[exec]\nallow = [\"./bin/clean -a\"]\n").join("\n");
    assert!(found.contains("`./bin/clean` is a relative path"), "{found}");
    silent("[exec]\nallow = [\"/nonexistent/convert -c x\", \"/nonexistent/convert ./a ./b\"]\n");
}

/// A program is named as it is called, its version included: a name that nothing has matches nothing.
#[test]
fn a_program_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    for name in ["snake3", "snake3.11", "snake3-config", "convert"] {
        std::fs::write(root.join(name), "").expect("a file");
    }
    symlink("snake3.11", root.join("snake")).expect("a link");
    let entry = |command: &str| format!("[exec]\nallow = [\"{}/{command}\"]\n", root.display());
    for there in ["snake /srv/x", "snake3 -V", "snake3.11 /srv/x *", "snake3.* /srv/x", "conver? a"] {
        silent(&entry(there));
    }
    for (missing, others) in [("snake3.9 /srv/x", "`, `"), ("snake2 -V", "snake3.11`"), ("snake3.12", "snake3`")] {
        let name = missing.split(' ').next().expect("a name");
        let what = format!("`{}/{name}` matches nothing", root.display());
        warned(&entry(missing), &[&what, "a version is part of a program's name", others, "/test.toml:2:10\n"]);
    }
    for missing in ["convrt * *", "tool* a", "adder"] {
        warned(&entry(missing), &["matches nothing", "help: correct the path"]);
    }
    warned("[exec]\nallow = [\"no-such-program-here -V\"]\n", &["`no-such-program-here` matches nothing"]);
    // What is in no folder that is here may be in a chroot.
    silent("[exec]\nallow = [\"/nonexistent/snake3.9 /srv/x\"]\n");
}

/// `deny` takes precedence, so that what it has as a whole is never allowed.
#[test]
fn a_destination_that_is_denied_too() {
    for (deny, allow, never) in [
        ("192.88.1.10:25", "192.88.1.10:25", true),
        ("192.88.1.0/24:*", "192.88.1.10:25", true),
        ("192.88.1.0/24:20-30", "192.88.1.0/25:25-26", true),
        ("192.88.1.10:25", "192.88.1.0/24:25", false),
        ("192.88.1.10:25", "192.88.1.10:25-26", false),
        ("[2001:db8::/32]:*", "[2001:db8::1]:443", true),
        ("*.evil.test:*", "a.evil.test:443", true),
        ("*.evil.test:*", "evil.test:443", false),
        ("a.test:1", "a.test:1", true),
    ] {
        let global = format!("[egress]\ndeny = [\"{deny}\"]\nallow = [\"{allow}\"]\n");
        let vhost = format!(
            "[egress]\ndeny = [\"{deny}\"]\n[[vhost]]\nname = \"a\"\nmatch = {{ pool = \"a\" }}\n\
             [vhost.egress]\nallow = [\"{allow}\"]\n"
        );
        for text in [global, vhost] {
            match never {
                true => warned(&text, &[&format!("`{allow}` never applies: `deny = \"{deny}\"` has all of it")]),
                false => silent(&text),
            }
        }
    }
}
