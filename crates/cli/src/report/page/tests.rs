use super::super::{earlier, pages_on};
use super::*;
use crate::log::Event;
use serde_json::json;

const HOSTILE: &str =
    "</pre></style><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}\u{1b}\" onload='x' --><!--";

fn hostile(number: usize) -> Event {
    let is_exec = number.is_multiple_of(2);
    let mut value = json!({
        "@timestamp": if number > 2 { "2026-01-01T00:00:00Z" } else { HOSTILE }, "message": HOSTILE, "rule": { "id": if number > 4 { "shell-spawn" } else { HOSTILE }, "name": HOSTILE },
        "event": { "id": format!("{HOSTILE}-{number}"), "category": ["process"], "outcome": "failure", "action": if is_exec { "exec" } else { "connection_attempted" } },
        "process": { "command_line": format!("{HOSTILE}{number}"), "args": ["sh", "-c", HOSTILE] },
        "client": { "address": format!("{HOSTILE}{number}") }, "host": { "hostname": HOSTILE },
        "url": { "original": HOSTILE, "domain": HOSTILE }, "http": { "request": { "id": HOSTILE, "method": HOSTILE } },
        "portcullis": { "mode": HOSTILE, "chain": HOSTILE, "vhost": format!("{HOSTILE}{number}"), "clause": HOSTILE, "also": [HOSTILE],
            "stream": HOSTILE, "request": { "state": "known", "script": format!("{HOSTILE}{number}") } },
    });
    if !is_exec {
        value["destination"] = json!({ "ip": HOSTILE, "port": 4444, "domain": HOSTILE });
        value["network"] = json!({ "transport": HOSTILE });
    }
    Event::of(&value)
}

#[test]
fn no_value_becomes_markup() {
    let mut events: Vec<Event> = (0..INCIDENTS + 20).map(hostile).collect();
    events.push(Event::of(&json!({ "rule": { "id": "guard-policy" }, "message": HOSTILE, "@timestamp": HOSTILE })));
    let own = pages_on(&[], 0, "");
    for (page, own) in pages_on(&events, 1, HOSTILE).iter().zip(own) {
        for start in ["<script", "<style", "<img", "<!"] {
            assert_eq!(page.matches(start).count(), own.matches(start).count(), "{start}");
        }
        assert!(!page.contains("onload='x'\"") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
        // Every attribute is one of the template's own.
        let odd = page.split('<').skip(1).filter_map(|tag| tag.split('>').next()).find(|tag| tag.contains("onload="));
        assert_eq!(odd, None);
    }
}

#[test]
fn many_incidents_are_in_a_second_file() {
    let own = |number: usize| {
        Event::of(&json!({
            "@timestamp": "2026-01-01T00:00:00Z", "rule": { "id": "stdio-socket" }, "client": { "address": format!("c{number}") },
            "event": { "action": "exec", "outcome": "success", "id": format!("a{number}-1") }, "process": { "command_line": format!("/x{}", letters(number)) },
            "portcullis": { "request": { "script": format!("/srv/{}.php", letters(number)) } },
        }))
    };
    let events: Vec<Event> = (0..INCIDENTS + 7).map(own).collect();
    let [page, others] = pages_on(&events, 0, "");
    assert_eq!(page.matches("<article").count(), INCIDENTS);
    assert_eq!(others.matches("<li>").count(), 7);
    assert!(page.contains("And 7 incidents more"));
}

/// A number in letters: what differs in digits alone is of one kind.
fn letters(mut number: usize) -> String {
    let mut out = String::new();
    for _ in 0..4 {
        out.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    out
}

#[test]
fn anchors_are_there_once() {
    let [page, _] = pages_on(&(0..50).map(hostile).collect::<Vec<_>>(), 0, "");
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for link in page.split(" href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.binary_search(&link).is_ok(), "{link}");
    }
}

#[test]
fn a_long_value_is_cut_in_its_middle() {
    let shown = text(&format!("begin{}end", "x".repeat(50_000)));
    assert!(shown.starts_with("begin") && shown.ends_with("end") && shown.len() < 1000, "{shown}");
    assert!(shown.contains("[49408 characters]"), "{shown}");
}

#[test]
fn a_file_of_somebody_s_is_no_second_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report-more.html");
    assert_eq!(is_others(&file), Ok(false));
    std::fs::write(&file, &pages_on(&[], 0, "")[1]).expect("a file");
    assert_eq!(is_others(&file), Ok(true));
    std::fs::write(&file, "notes").expect("a file");
    assert!(is_others(&file).is_err_and(|error| error.contains("-o")));
}

#[test]
fn a_link_to_a_file_is_only_that() {
    assert_eq!(link(Path::new("/x/java script:\"<a>-more.html")), "java%20script%3A%22%3Ca%3E-more.html");
}

#[test]
fn the_script_and_the_style_are_as_the_policy_says() {
    let [page, _] = pages_on(&[], 0, "");
    for (start, end, of) in [("<script>", "</script>", SCRIPT), ("<style>", "</style>", STYLE)] {
        let found = page.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(text, _)| text);
        assert_eq!(found, Some(of), "what the page has is what was hashed");
    }
}

#[test]
fn an_earlier_report_marks_what_is_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let [page, _] = pages_on(&[hostile(6), hostile(8)], 0, HOSTILE);
    std::fs::write(&file, page).expect("a page");
    let Ok(found @ Found::Report(_)) = earlier::read(&file) else { panic!("no earlier report") };
    let mut reading = super::super::Reading::default();
    for number in [6, 8, 10] {
        reading.take(&hostile(number), true);
    }
    let log = reading.done();
    let new: Vec<&str> = log
        .digest
        .clients
        .ranked(9)
        .into_iter()
        .filter(|(key, _)| found.is_new("clients", *key))
        .map(|(_, row)| &*row.text)
        .collect();
    assert_eq!(new, [format!("{HOSTILE}10")]);
    let ages: Vec<Option<Age>> = log.incidents.iter().map(|incident| found.age(incident)).collect();
    assert!(ages.iter().all(|age| matches!(age, Some(Age::New | Age::Grown))), "{ages:?}");
}

#[test]
fn what_is_no_report_is_not_compared_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let start = "<script type=\"application/json\" id=\"portcullis-report\">";
    for text in [
        String::new(),
        "x".repeat(100_000),
        format!("{start}{{\"version\":2}}</script>"),
        format!("{start}{{\"version\":1,\"made\":7}}</script>"),
        format!("{start}{{\"version\":1"),
        format!("{start}{}</script>", "[".repeat(200_000)),
    ] {
        std::fs::write(&file, &text).expect("a file");
        assert!(earlier::read(&file).is_err(), "{}", &text[..text.len().min(80)]);
    }
    let large = "{\"version\":1,\"made\":\"<b>\",\"command\":\"\u{202e}\",\"incidents\":{},\"rows\":{\"sites\":[18446744073709551615]},\"is_cut\":true}";
    std::fs::write(&file, format!("{start}{large}</script>")).expect("a file");
    assert!(earlier::read(&file).is_ok());
    std::os::unix::fs::symlink(&file, folder.path().join("link")).expect("a link");
    assert!(earlier::read(&folder.path().join("link")).is_err());
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("permissions");
    assert!(earlier::read(&file).is_err(), "others can write it");
}

/// An event of a script, by a client, on some hour of a day.
fn timed(number: usize, hour: usize, rule: &str, command: &str) -> Event {
    Event::of(&json!({
        "@timestamp": format!("2026-01-01T{hour:02}:00:00Z"), "rule": { "id": rule }, "host": { "hostname": "web1" },
        "event": { "id": format!("a{number}-1"), "action": "exec", "outcome": "success" },
        "client": { "address": format!("192.0.2.{}", number % 200) }, "process": { "command_line": command, "args": [command] },
        "http": { "request": { "id": format!("r{number}") } }, "url": { "domain": "shop.example", "original": "/" },
        "portcullis": { "mode": "audit", "request": { "state": "known", "script": "/srv/shop/index.php" } },
    }))
}

#[test]
fn the_header_has_host_mode_version_and_policy() {
    let [page, _] = pages_on(&[timed(1, 1, "shell-spawn", "id"), timed(2, 2, "shell-spawn", "id")], 0, "the policy");
    let header =
        page.split_once("<header>").and_then(|(_, rest)| rest.split_once("</header>")).map(|(header, _)| header);
    let header = header.expect("a header");
    for text in
        ["web1", "audit: 2 calls", concat!("version ", env!("CARGO_PKG_VERSION")), "the policy", "2026-01-01 01:00:00"]
    {
        assert!(header.contains(text), "{text}: {header}");
    }
}

/// The distance of two bars is that of their times.
#[test]
fn the_axis_is_one_of_time() {
    let events: Vec<Event> = [0, 1, 10, 20].iter().map(|hour| timed(*hour, *hour, "shell-spawn", "id")).collect();
    let [page, _] = pages_on(&events, 0, "");
    let chart = page.split_once("<svg").and_then(|(_, rest)| rest.split_once("</svg>")).expect("a chart").0;
    let places = chart.split(" x=\"").skip(1).filter_map(|rest| rest.split_once('"')?.0.parse::<usize>().ok());
    let places: Vec<usize> = places.collect();
    let [first, second, third, last] = places[..] else { panic!("{places:?}") };
    let hour = second - first;
    assert!(hour > 0 && third - first == 10 * hour && last - first == 20 * hour, "{places:?}");
    let ticks =
        page.split_once("<ol class=\"ticks\"").and_then(|(_, rest)| rest.split_once("</ol>")).expect("an axis").0;
    assert!(ticks.matches("<time").count() > 1 && ticks.contains("2026-01-01 00:00:00"), "{ticks}");
}

/// What belongs to the gravest incident comes first, and of the others the rarest.
#[test]
fn the_gravest_and_rarest_row_is_the_first() {
    let mut events: Vec<Event> =
        (0..150).map(|number| timed(number, number % 20, "exec-tool", "/usr/bin/convert")).collect();
    events.push(timed(400, 7, "exec-tool", "/usr/bin/rare"));
    events.push(timed(401, 7, "stdio-socket", "/bin/sh"));
    let [page, _] = pages_on(&events, 0, "");
    let part =
        page.split_once(" id=\"commands\"").and_then(|(_, rest)| rest.split_once("</section>")).expect("a part").0;
    let at = |text: &str| part.find(text).unwrap_or_else(|| panic!("{text}: {part}"));
    assert!(
        at("<code>/bin/sh") < at("<code>/usr/bin/rare") && at("<code>/usr/bin/rare") < at("<code>/usr/bin/convert")
    );
}
