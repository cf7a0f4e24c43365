//! The report in a real browser: at every width and in both schemes, with and without scripts, without an error of accessibility, and
//! with nothing of an attacker's at work in it.

use crate::harness::{Browser, Place, enter};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const HOSTILE: &str = "</pre></title><script>window.pwned=1</script><img src=x onerror=\"window.pwned=2\">'\"&lt;\u{202e}\u{1b}[2J\u{0}{{7*7}}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

fn event(number: u64, text: &str) -> Value {
    let is_exec = number.is_multiple_of(2);
    let mut event = json!({
        "@timestamp": format!("2026-11-24T{:02}:{:02}:14.000000000Z", 16 + number % 2, number % 60), "message": text,
        "event": { "id": format!("abc-{number}"), "category": ["process"], "action": if is_exec { "exec" } else { "connection_attempted" },
            "outcome": if number.is_multiple_of(3) { "failure" } else { "success" }, "severity": 47 },
        "rule": { "id": if is_exec { "shell-spawn" } else { "egress-port" }, "name": text },
        "process": { "pid": 100 + number, "command_line": text, "args": ["sh", "-c", text], "parent": { "pid": 99 + number } },
        "user": { "id": "33", "name": text }, "host": { "hostname": text }, "client": { "address": text },
        "http": { "request": { "id": format!("{:016x}", number / 6), "method": "GET" } },
        "url": { "original": format!("/{text}"), "domain": text },
        "portcullis": { "mode": "audit", "role": "serving", "chain": format!("php-fpm > {text}"), "vhost": text, "clause": text,
            "stream": "1", "dropped": 1, "request": { "state": "known", "script": format!("/srv/{text}") } },
    });
    if !is_exec {
        event["destination"] = json!({ "ip": "192.88.1.10", "port": 4444, "domain": text });
        event["network"] = json!({ "transport": "tcp" });
    }
    event
}

/// A report on such events, and, with more events, one that is compared with it.
fn report(place: &Place) -> PathBuf {
    let long = "x".repeat(400);
    let texts = ["ordinary", HOSTILE, long.as_str()];
    let page = place.join("report.html");
    let mut lines = String::new();
    for (count, extra) in [(60, None), (80, Some("stdio-socket"))] {
        for number in 0..count {
            lines += &format!("{}\n", event(number, texts[number as usize % 3]));
        }
        if let Some(rule) = extra {
            let mut grave = event(900, "/bin/sh -i");
            grave["rule"]["id"] = rule.into();
            grave["client"]["address"] = "192.88.1.66".into();
            lines += &format!("{grave}\n{}\n", json!({ "rule": { "id": "guard-policy" }, "message": HOSTILE }));
        }
        written(place, &lines, &page);
    }
    page
}

fn written(place: &Place, lines: &str, page: &Path) -> String {
    let log = place.write("events.jsonl", lines);
    let done = place.portcullis().args(["report", "-o"]).arg(page).arg(log).output().expect("portcullis report");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Shows a page as this device does.
fn show(browser: &Browser, (width, height): (u64, u64), scheme: &str, page: &Path) {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
    browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", &media);
    browser.open(page);
}

const DEVICES: [(u64, u64); 2] = [(1280, 900), (375, 800)];
const SCHEMES: [&str; 2] = ["light", "dark"];

#[test]
fn in_a_real_browser() {
    enter();
    let place = Place::new();
    let page = report(&place);
    let html = std::fs::read_to_string(&page).expect("the page");
    assert!(!html.contains("http://") && !html.contains("https://"), "it needs nothing else");

    let browser = Browser::start();
    let mut grounds = Vec::new();
    for device in DEVICES {
        for scheme in SCHEMES {
            let which = format!("{device:?} {scheme}");
            show(&browser, device, scheme, &page);
            assert_eq!(browser.console(), Vec::<Value>::new(), "{which}");
            assert_eq!(browser.value("window.pwned === undefined"), true);
            assert_eq!(browser.value("document.querySelectorAll('img, iframe, object').length"), 0);
            assert_eq!(browser.value("document.documentElement.scrollWidth <= window.innerWidth"), true, "{which}");
            grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
            // What is closed is checked, too.
            browser.value("document.querySelectorAll('details').forEach((at) => { at.open = true })");
            assert_eq!(browser.value("document.documentElement.scrollWidth <= window.innerWidth"), true, "{which}");
            assert_eq!(violations(&browser), json!([]), "{which}");
            if let Ok(folder) = std::env::var("PORTCULLIS_PICTURES") {
                browser.open(&page);
                std::fs::write(format!("{folder}/{}-{scheme}.b64", device.0), browser.picture()).expect("a picture");
            }
        }
    }
    assert!(grounds[0] != grounds[1] && grounds[0] == grounds[2], "{grounds:?}");
    compares(&browser);
    filters(&browser);
    copies(&browser);
    prints(&browser);
    browser.open(&page);
    by_keyboard(&browser);
    without_scripts(&browser, &page);
}

/// What axe-core finds, of every rule that it has.
fn violations(browser: &Browser) -> Value {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{}: {error}: make tools", axe.display()));
    browser.run(&axe);
    let found = browser.awaited(
        "axe.run(document, { rules: { 'target-size': { enabled: true } } }).then((all) => ({ passes: all.passes.length, \
         violations: all.violations.map((one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary)]) }))",
    );
    assert!(found["passes"].as_u64().is_some_and(|passes| passes > 10), "it checked nothing: {found}");
    found["violations"].clone()
}

/// What was not in the report before is marked.
fn compares(browser: &Browser) {
    let news = "document.getElementById('news').parentElement.innerText";
    let text = browser.value(news).as_str().unwrap_or_default().to_owned();
    assert!(text.contains("Compared with the report made 20"), "{text}");
    assert!(text.contains("192.88.1.66") && text.contains("New incidents: 1"), "{text}");
    let first = browser.value("document.querySelector('.card').innerText");
    let first = first.as_str().unwrap_or_default();
    assert!(first.contains("Reverse shell") && first.contains("\nnew\n") | first.contains("new "), "{first}");
}

/// The search hides what it does not find.
fn filters(browser: &Browser) {
    let seen = "[...document.querySelectorAll('article')].filter((at) => at.checkVisibility()).length";
    let all = browser.value(seen);
    let set = |name: &str, value: &str| {
        browser.value(&format!("(() => {{ const form = document.getElementById('filter'); form.elements.{name}.value = '{value}'; form.dispatchEvent(new Event('input')) }})()"));
    };
    set("words", "192.88.1.66");
    assert_eq!(browser.value(seen), 1);
    assert_eq!(browser.value("document.getElementById('found').value"), format!("1 of {all} incidents"));
    set("level", "critical");
    assert_eq!(browser.value(seen), 0);
    set("level", "");
    set("words", "no such words anywhere");
    assert_eq!(browser.value("document.querySelectorAll('tr[data-search]:not([hidden])').length"), 0);
    // Words are compared as they are: no expression takes long or matches more, and no markup of them comes into the page.
    let elements = browser.value("document.querySelectorAll('*').length");
    for hostile in ["(a+)+$", ".{0,999}x*", "(.*)*\\u0021", "<img src=x onerror=alert(1)>", "</script><b>"] {
        set("words", hostile);
        assert_eq!(browser.value(seen), 0, "{hostile}");
        assert_eq!(browser.value("document.querySelectorAll('*').length"), elements, "{hostile}");
    }
    // A link leads to an incident also where the search hides it.
    browser.value("document.querySelector('.card a').click()");
    let target = "document.getElementById(location.hash.slice(1))";
    crate::harness::wait_until("the incident", || browser.value(&format!("{target}.checkVisibility()")) == true);
    assert_eq!(browser.value(&format!("{target}.querySelector('details').open")), true);
    set("words", "");
    assert_eq!(browser.value(seen), all);
}

/// A command is copied with a button.
fn copies(browser: &Browser) {
    browser.value("document.querySelector('.command + button').click()");
    let said = "document.getElementById('said').textContent";
    crate::harness::wait_until("that it is copied", || browser.value(said) != "");
    let selected = browser.value("getSelection().toString()");
    assert!(selected.as_str().is_some_and(|text| text.starts_with("portcullis events --incident ")), "{selected}");
}

/// On paper everything is open and nothing is a button.
fn prints(browser: &Browser) {
    browser.value("document.querySelectorAll('details').forEach((at) => { at.open = false })");
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    let hidden = "[...document.querySelectorAll('nav, form, button')].filter((at) => at.checkVisibility()).length";
    assert_eq!(browser.value(hidden), 0);
    let step = "[...document.querySelectorAll('.steps li')].every((at) => at.checkVisibility({ contentVisibilityAuto: true }))";
    assert_eq!(browser.value(step), true, "closed parts are printed");
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "media": "" }));
}

/// Every part can be reached and opened without a mouse.
fn by_keyboard(browser: &Browser) {
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    let in_incidents = "document.activeElement.matches('article summary')";
    for _ in 0..120 {
        if browser.value(in_incidents) == true {
            break;
        }
        browser.press(TAB);
    }
    assert_eq!(browser.value(in_incidents), true, "an incident is reached");
    assert_eq!(browser.value("getComputedStyle(document.activeElement).outlineStyle"), "solid", "the focus is seen");
    let is_open = "document.activeElement.parentElement.open";
    let before = browser.value(is_open);
    browser.press(ENTER);
    assert_ne!(browser.value(is_open), before);
}

/// Nothing is missing where scripts are disabled, and nothing is there that would need one.
fn without_scripts(browser: &Browser, page: &Path) {
    browser.open(page);
    let count = "['article', '.steps li', '.command', '.raw pre', 'tr', '.card'].map((of) => document.querySelectorAll(of).length)";
    let with = browser.value(count);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.open(page);
    assert_eq!(browser.value("document.querySelectorAll('button').length"), 0, "the page's script ran");
    assert_eq!(browser.value(count), with);
    assert_eq!(browser.value("document.getElementById('filter').checkVisibility()"), false);
    let seen =
        "[...document.querySelectorAll('article > details > summary, .card')].every((at) => at.checkVisibility())";
    assert_eq!(browser.value(seen), true);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
}

/// What the page has no room for is one click away.
#[test]
fn more_incidents_are_in_a_second_file() {
    enter();
    let place = Place::new();
    let lines: String = (0..506_u64).map(|number| format!("{}\n", lone(number))).collect();
    let page = place.join("re port.html");
    let said = written(&place, &lines, &page);
    assert!(said.contains("re port-more.html: the incidents behind the first 500"), "{said}");
    let browser = Browser::start();
    show(&browser, DEVICES[1], "light", &page);
    assert_eq!(browser.value("document.querySelectorAll('article').length"), 500);
    browser.value("document.querySelector('a[href$=\"-more.html\"]').click()");
    crate::harness::wait_until("the second file", || {
        browser.value("document.querySelectorAll('.others li').length") == 6
    });
    assert_eq!(browser.console(), Vec::<Value>::new());
    assert_eq!(violations(&browser), json!([]));
}

/// An incident of its own: another script, client and command.
fn lone(number: u64) -> Value {
    let name: String =
        [number / 676, number / 26 % 26, number % 26].map(|at| char::from(b'a' + at as u8)).iter().collect();
    let mut event = event(number * 2, &format!("{name} {HOSTILE}"));
    event["http"]["request"]["id"] = name.clone().into();
    event["process"]["command_line"] = format!("/tmp/{name}").into();
    event["process"]["pid"] = (1000 + number).into();
    event["process"]["parent"]["pid"] = (5000 + number).into();
    event["rule"]["id"] = "exec-place".into();
    event
}
