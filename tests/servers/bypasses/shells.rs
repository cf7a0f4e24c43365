//! Allowed commands in an environment that chooses what the shell, its loader or the program does.

use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter, http};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// Starts a command with one variable; says whether it was started, and whether the variable's file or function ran.
const PAGE: &str = r#"<?php
error_reporting(0);
[$name, $value] = explode('=', $_GET['variable'], 2) + ['', ''];
$mark = 'WORK/mark';
if ($_GET['by'] === 'mail') {
    if ($name !== '') { putenv("$name=$value"); }
    $done = mail('a@example.com', 'x', 'y');
    if ($name !== '') { putenv($name); }
} else {
    $environment = ['SHELL' => '/bin/sh'];
    if ($name !== '') { $environment[$name] = $value; }
    if ($name === 'SHELLOPTS') { $environment['PS4'] = "\$(touch $mark)"; }
    $p = proc_open(json_decode($_GET['by']), [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']], $q, null, $environment);
    $done = is_resource($p) && proc_close($p) === 0;
}
echo $done ? 'yes' : 'no', file_exists($mark) ? ' steered' : '';
unlink($mark);
"#;

const BASH: &str = r#"["/bin/bash","-c","/usr/sbin/sendmail -t -i"]"#;
const SH: &str = r#"["/bin/sh","-c","/usr/sbin/sendmail -t -i"]"#;
const BARE: &str = r#"["/bin/bash","-c","uname -r"]"#;

/// The variable, who is started, the row that keeps the entry from holding (none: it holds), and whether the variable's file
/// or function runs in the shells of the machine.
const CASES: [(&str, &str, &str, bool); 22] = [
    ("", BASH, "", false),
    ("", "mail", "", false),
    ("", BARE, "", false),
    ("LC_ALL=C", "mail", "", false),
    ("LD_BIND_NOW=1", "mail", "", false),
    ("BASH_ENV=WORK/start", BASH, "BASH_ENV", true),
    ("BASH_ENV=WORK/start", "mail", "BASH_ENV", false),
    ("SHELLOPTS=xtrace", BASH, "SHELLOPTS", true),
    ("ENV=WORK/start", SH, "ENV", false),
    ("ZDOTDIR=WORK", SH, "ZDOTDIR", false),
    ("IFS=/", SH, "IFS", false),
    ("FPATH=WORK", SH, "FPATH", false),
    ("BASH_FUNC_uname%%=() { touch WORK/mark; }", BARE, "BASH_FUNC_*", true),
    ("any=() { :; }", SH, "", false),
    ("PATH=WORK/bin:/usr/bin", BARE, "PATH", true),
    ("PATH=/usr/bin:/bin", BARE, "", false),
    ("GCONV_PATH=WORK", "mail", "GCONV_PATH", false),
    ("PERL5OPT=-MNothing", SH, "PERL5OPT", false),
    // What loader-env allows steers no more: by its value what loads code, by its name any.
    ("PERL5LIB=/opt/perl", SH, "", false),
    ("NODE_ENV=production", SH, "", false),
    ("NODE_ENV=/opt/perl", SH, "NODE_*", false),
    ("NODE_ENV=production; BASH_ENV=WORK/start", SH, "NODE_*", false),
];

const EXPECTED: &str = "[rules.loader-env]\nallow = [\"/opt/perl\", \"NODE_ENV=production\"]\n";

fn steered_commands(mode: &str) {
    enter();
    let place = Place::new();
    let work = place.join("work");
    place.write("work/start", &format!("touch {}/mark\n", work.display()));
    let own = place.write("work/bin/uname", &format!("#!/usr/bin/perl\nopen F, '>{}/mark';\n", work.display()));
    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).expect("permissions");
    std::fs::set_permissions(&work, PermissionsExt::from_mode(0o777)).expect("permissions");
    let here = |text: &str| text.replace("WORK", work.to_str().expect("a path"));
    place.write("www/shells.php", &here(PAGE));
    let guard = place
        .guard_of_every_event(&format!("mode = \"{mode}\"\n[exec]\nallow = [\"default\", \"uname -r\"]\n{EXPECTED}"));
    let pool = Pool { lines: "env[LD_BIND_NOW] = 1".into(), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let mut events = guard.events();
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut wrong = Vec::new();
    for (variable, by, row, runs) in CASES {
        let row = if variable.starts_with("any=") { "a variable is a shell function" } else { row };
        let variable = here(variable);
        let said =
            http::get(nginx.port, &format!("/shells.php?variable={}&by={}", encoded(&variable), encoded(by))).body;
        let fresh = events.fresh();
        let shells: Vec<&Value> = fresh.iter().filter(|event| event.text("rule.id") == "shell-spawn").collect();
        let clauses: Vec<&str> = shells.iter().map(|event| event.text("portcullis.clause")).collect();
        let refused = !row.is_empty() && mode == "enforce";
        let fine_clauses = match row {
            "" => clauses.is_empty(),
            row => {
                !clauses.is_empty()
                    && clauses.iter().all(|clause| clause.starts_with("allow does not hold: ") && clause.contains(row))
            }
        };
        let fine_said = match (refused, runs) {
            (true, _) => said == "no",
            (false, true) => said.ends_with(" steered"),
            // A module that is not there stops Perl.
            (false, false) => said == "yes" || variable.starts_with("PERL5OPT"),
        };
        if !fine_clauses || !fine_said {
            wrong.push(format!("{mode}: `{variable}` {by}: {said:?}, {clauses:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_variable_that_steers_an_allowed_command_is_refused() {
    steered_commands("enforce");
}

#[test]
fn a_variable_that_steers_an_allowed_command_is_an_event_in_audit() {
    steered_commands("audit");
}
