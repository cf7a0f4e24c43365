//! The report in a real browser: at every width and in both schemes, without an error, and with nothing of an attacker's
//! at work in it.

use crate::harness::{Browser, Place, enter};
use serde_json::{Value, json};

const HOSTILE: &str = "</pre></title><script>window.pwned=1</script><img src=x onerror=\"window.pwned=2\">'\"&lt;\u{202e}\u{1b}[2J\u{0}{{7*7}}";

fn event(number: u64, text: &str) -> Value {
    let is_exec = number.is_multiple_of(2);
    let mut event = json!({
        "@timestamp": format!("2026-11-24T16:{:02}:14.000000000Z", number % 60), "message": text,
        "event": { "category": ["process"], "action": if is_exec { "exec" } else { "connection_attempted" },
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

#[test]
fn in_a_real_browser() {
    enter();
    let place = Place::new();
    let long = "x".repeat(400);
    let texts = ["ordinary", HOSTILE, long.as_str()];
    let lines: String = (0..60).map(|number| format!("{}\n", event(number, texts[number as usize % 3]))).collect();
    let log = place.write("events.jsonl", &lines);
    let page = place.join("report.html");
    let done = place.portcullis().args(["report", "-o"]).arg(&page).arg(log).output().expect("portcullis report");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let html = std::fs::read_to_string(&page).expect("the page");
    assert!(
        !html.contains("http://") && !html.contains("https://") && !html.contains("<script"),
        "it needs nothing else"
    );

    let browser = Browser::start();
    let mut grounds = Vec::new();
    for (width, height) in [(1280, 900), (375, 800)] {
        for scheme in ["light", "dark"] {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
            browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
            let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.devtools("Emulation.setEmulatedMedia", &media);
            browser.open(&page);
            assert_eq!(browser.console(), Vec::<Value>::new(), "{width} {scheme}");
            assert_eq!(browser.value("window.pwned === undefined"), true);
            assert_eq!(browser.value("document.querySelectorAll('img, script, iframe, object').length"), 0);
            assert_eq!(
                browser.value("document.documentElement.scrollWidth <= window.innerWidth"),
                true,
                "{width} {scheme}"
            );
            grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
            assert_eq!(browser.value(CONTRASTS), json!([]), "{width} {scheme}: too little contrast");
            if let Ok(folder) = std::env::var("PORTCULLIS_PICTURES") {
                std::fs::write(format!("{folder}/{width}-{scheme}.b64"), browser.picture()).expect("a picture");
            }
        }
    }
    assert!(grounds[0] != grounds[1] && grounds[0] == grounds[2], "{grounds:?}");
    speaks(&browser);
    by_keyboard(&browser);
}

/// Texts whose contrast to their ground is under 4.5 (WCAG 2.2, 1.4.3).
const CONTRASTS: &str = r"(() => {
    const light = (text) => { const [r, g, b] = text.match(/[\d.]+/g).map(Number).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    const ground = (at) => { for (; at; at = at.parentElement) { const of = getComputedStyle(at).backgroundColor; if (!/, 0\)$/.test(of)) return of } return 'rgb(255, 255, 255)' };
    return [...document.querySelectorAll('body *')].filter((at) => [...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && at.closest('svg') === null)
        .filter((at) => { const [one, other] = [light(getComputedStyle(at).color), light(ground(at))]; return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5 }).map((at) => at.outerHTML.slice(0, 80)) })()";

/// What a screen reader needs.
fn speaks(browser: &Browser) {
    for (what, expression) in [
        ("a language", "document.documentElement.lang === 'en'"),
        ("a title", "document.title.length > 0"),
        (
            "landmarks",
            "!!document.querySelector('main') && !!document.querySelector('nav[aria-label]') && !!document.querySelector('header')",
        ),
        ("one first heading", "document.querySelectorAll('h1').length === 1"),
        (
            "named parts",
            "[...document.querySelectorAll('section')].every((part) => part.ariaLabel || document.getElementById(part.getAttribute('aria-labelledby')))",
        ),
        (
            "named charts",
            "[...document.querySelectorAll('svg')].every((chart) => chart.role === 'img' && chart.ariaLabel)",
        ),
        (
            "headed tables",
            "[...document.querySelectorAll('table')].every((table) => table.querySelectorAll('th[scope=col]').length === 3)",
        ),
        (
            "links that lead",
            "[...document.querySelectorAll('a')].every((link) => document.querySelector(link.getAttribute('href')))",
        ),
    ] {
        assert_eq!(browser.value(expression), true, "{what}");
    }
}

/// Every part can be reached and opened without a mouse.
fn by_keyboard(browser: &Browser) {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    let in_incidents = "document.activeElement.matches('section[aria-labelledby=requests] summary')";
    for _ in 0..40 {
        if browser.value(in_incidents) == true {
            break;
        }
        browser.press(TAB);
    }
    assert_eq!(browser.value(in_incidents), true, "an incident is reached");
    assert_eq!(browser.value("getComputedStyle(document.activeElement).outlineStyle"), "solid", "the focus is seen");
    browser.press(ENTER);
    assert_eq!(browser.value("document.activeElement.parentElement.open"), true);
    assert_eq!(browser.value("document.activeElement.parentElement.querySelectorAll('li').length > 1"), true);
}
