//! Variables that make a program load code, in the environment of a program that is allowed otherwise.

use super::compile;
use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter, http};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// Starts a program with the variables that the query names.
const PAGE: &str = r#"<?php
$environment = json_decode($_GET['environment'], true);
$p = @proc_open(json_decode($_GET['argv']), [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']], $q, null, $environment);
// What the child of proc_open says whose exec failed.
$started = is_resource($p) && proc_close($p) !== 127;
echo $started ? 'yes' : 'no', file_exists('WORK/mark') ? ' loaded' : '';
@unlink('WORK/mark');
"#;

const ICONV: &str = r#"["/usr/bin/iconv","-f","MARKED","-t","UTF-8","/dev/null"]"#;
const TRUE: &str = r#"["/usr/bin/true"]"#;

/// The variables, the program, what the event says (none: no event), and whether the module is loaded where nobody refuses.
const CASES: [(&str, &str, &str, bool); 24] = [
    (r#"{"GCONV_PATH":"WORK"}"#, ICONV, "GCONV_PATH=WORK", true),
    (r#"{"GCONV_PATH":"WORK"}"#, r#"["/usr/bin/env","iconv","-f","MARKED","/dev/null"]"#, "GCONV_PATH=WORK", true),
    (r#"{"LOCPATH":"WORK"}"#, TRUE, "LOCPATH=WORK", false),
    (r#"{"OPENSSL_CONF":"WORK/x"}"#, TRUE, "OPENSSL_CONF=WORK/x", false),
    (r#"{"OPENSSL_ENGINES":"WORK"}"#, TRUE, "OPENSSL_ENGINES=WORK", false),
    (r#"{"GIO_EXTRA_MODULES":"WORK"}"#, TRUE, "GIO_EXTRA_MODULES=WORK", false),
    (r#"{"PERL5OPT":"-MNothing"}"#, TRUE, "PERL5OPT=-MNothing", false),
    (r#"{"PYTHONPATH":"WORK"}"#, TRUE, "PYTHONPATH=WORK", false),
    (r#"{"NODE_OPTIONS":"--require=WORK/x"}"#, TRUE, "NODE_OPTIONS=--require=WORK/x", false),
    (r#"{"JAVA_TOOL_OPTIONS":"-agentpath:x"}"#, TRUE, "JAVA_TOOL_OPTIONS=-agentpath:x", false),
    (r#"{"MAGICK_CODER_MODULE_PATH":"WORK"}"#, TRUE, "MAGICK_CODER_MODULE_PATH=WORK", false),
    (r#"{"LD_DEBUG":"libs"}"#, TRUE, "LD_DEBUG=libs", false),
    // One that is allowed does not hide another.
    (r#"{"LD_LIBRARY_PATH":"/opt/vendor/lib","GCONV_PATH":"WORK"}"#, ICONV, "GCONV_PATH=WORK", true),
    (r#"{"LD_LIBRARY_PATH":"/opt/vendor/lib"}"#, TRUE, "", false),
    // Nor one that is not: the event shows all, and no value that reads like two.
    (r#"{"LOCPATH":"WORK","GCONV_PATH":"WORK"}"#, ICONV, "LOCPATH=WORK; GCONV_PATH=WORK", true),
    (r#"{"LOCPATH":"a; PERL5LIB=b","GEM_HOME":"a; b"}"#, TRUE, "LOCPATH=\u{2026}; GEM_HOME=a; b", false),
    // With its name, it is another variable's no more.
    (r#"{"PERL5LIB":"/opt/perl"}"#, TRUE, "", false),
    (r#"{"RUBYLIB":"/opt/perl"}"#, TRUE, "RUBYLIB=/opt/perl", false),
    (r#"{"RUBYLIB":"/srv/of the pool"}"#, TRUE, "", false),
    (r#"{"RUBYLIB":"/srv/another"}"#, TRUE, "RUBYLIB=/srv/another", false),
    (r#"{"OPENSSL_CONF":"/dev/null","PYTHONPATH":""}"#, TRUE, "", false),
    (r#"{"PYTHONUNBUFFERED":"1","NODE_ENV":"production","QT_QPA_PLATFORM":"offscreen"}"#, TRUE, "", false),
    // Who is named here is started, and judged, as a program.
    (r#"{"GIT_SSH":"WORK/x","PAGER":"less","LC_ALL":"C"}"#, TRUE, "", false),
    (r#"{"HOME":"WORK","TMPDIR":"/tmp"}"#, ICONV, "", false),
];

fn loads(mode: &str, layer: &str) {
    enter();
    let place = Place::new();
    let work = place.join("work");
    place.write("work/gconv-modules", "module MARKED// INTERNAL charset 1\nmodule INTERNAL MARKED// charset 1\n");
    std::fs::set_permissions(&work, PermissionsExt::from_mode(0o777)).expect("permissions");
    let here = |text: &str| text.replace("WORK", work.to_str().expect("a path"));
    let module = compile(&place, "charset", &["-shared", "-fPIC", &here("-DMARK=\"WORK/mark\"")]);
    std::fs::rename(module, work.join("charset.so")).expect("a module");
    place.write("www/loading.php", &here(PAGE));
    let guard = place.guard(&format!(
        "mode = \"{mode}\"\n[rules.loader-env]\nmode = \"{mode}\"\nallow = [\"/opt/vendor/lib\", \"PERL5LIB=/opt/perl\"]\n[backstop]\nseccomp = \"{layer}\"\n"
    ));
    let pool = Pool { lines: "env[RUBYLIB] = \"/srv/of the pool\"".into(), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let mut events = guard.events();
    let encoded = |text: &str| here(text).bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut wrong = Vec::new();
    for (variables, argv, expected, runs) in CASES {
        let path = format!("/loading.php?environment={}&argv={}", encoded(variables), encoded(argv));
        let said = http::get(nginx.port, &path).body;
        let fresh = events.fresh();
        let about: Vec<&Value> = fresh.iter().filter(|event| event.text("rule.id") == "loader-env").collect();
        let details: Vec<&str> = about.iter().map(|event| event.text("portcullis.detail")).collect();
        let expected = here(expected);
        let fine_event = match expected.as_str() {
            "" => details.is_empty(),
            expected => details == [expected],
        };
        let fine_said = match (expected.is_empty(), mode, runs) {
            (false, "enforce", _) => said == "no",
            (_, _, true) => said == "yes loaded",
            (_, _, false) => said == "yes",
        };
        if !fine_event || !fine_said {
            wrong.push(format!("{mode}: {variables} {argv}: {said:?}, {details:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_variable_that_loads_code_is_refused() {
    loads("enforce", "off");
}

#[test]
fn a_variable_that_loads_code_is_an_event_in_audit() {
    loads("audit", "off");
}

#[test]
fn a_variable_that_loads_code_is_refused_supervised() {
    loads("enforce", "supervise");
}
