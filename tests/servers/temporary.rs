//! The command where its temporary files cannot be made or written: it does the same by reading once more, or it says what is missing and
//! gives the rest.

use crate::harness::{Place, enter};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// More events than the report notes in memory, and more than learn does. A pipe with the first ones is longer than a copy in memory.
const NOTED: usize = 80_000;
const RECORDED: usize = 420_000;

/// Places that take no file, or nothing in it.
fn places(place: &Place) -> Vec<PathBuf> {
    for (name, options) in [("read-only", "ro"), ("full", "size=64k")] {
        std::fs::create_dir(place.join(name)).expect("a folder");
        let folder = place.join(name).display().to_string();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none", &folder]).status();
        assert!(done.expect("mount").success());
    }
    let filled = std::fs::write(place.join("full/all"), vec![0; 1 << 20]);
    assert!(filled.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull));
    place.write("file", "");
    ["missing", "file", "read-only", "full"].map(|name| place.join(name)).to_vec()
}

fn log(place: &Place, count: usize) -> PathBuf {
    let line = |number: usize| {
        let minute = number / 60;
        format!(
            "{{\"@timestamp\":\"2026-11-{:02}T{:02}:{:02}:{:02}Z\",\"rule\":{{\"id\":\"shell-spawn\"}},\"event\":{{\"id\":\"ab-{number}\",\
             \"action\":\"exec\",\"outcome\":\"success\"}},\"client\":{{\"address\":\"192.0.2.7\"}},\"process\":{{\"command_line\":\"id\",\
             \"executable\":\"/usr/bin/dash\",\"args\":[\"sh\",\"-c\",\"/usr/bin/convert -version\"]}},\"portcullis\":{{\"request\":{{\"script\":\"/srv/a.php\"}}}}}}\n",
            1 + minute / 1440,
            minute / 60 % 24,
            minute % 60,
            number % 60
        )
    };
    place.write(&format!("{count}.jsonl"), &(0..count).map(line).collect::<String>())
}

fn command(place: &Place, folder: &Path, verb: &str) -> Command {
    let mut command = place.portcullis();
    command.env("TMPDIR", folder).arg(verb).arg("--config").arg(place.join("portcullis.toml"));
    command
}

/// Runs it with the log on a pipe.
fn piped(command: &mut Command, log: &Path) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
    let (mut pipe, text) = (child.stdin.take().expect("a pipe"), std::fs::read(log).expect("the log"));
    let writer = std::thread::spawn(move || pipe.write_all(&text));
    let done = child.wait_with_output().expect("a program");
    assert!(writer.join().expect("a writer").is_ok(), "the whole pipe is read");
    done
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// The incidents of a page with their events.
fn incidents(page: &Path) -> String {
    let page = std::fs::read_to_string(page).expect("a page");
    let begin = page.find("<article").expect("an incident");
    page[begin..page.rfind("</article>").expect("its end")].to_owned()
}

/// The same events are in the page, whether they were noted or looked for once more.
#[test]
fn a_report_is_whole_without_its_notes() {
    enter();
    let place = Place::new();
    place.write("portcullis.toml", "");
    let log = log(&place, NOTED);
    let report = |folder: &Path, name: &str| {
        let page = place.join(name);
        let done =
            command(&place, folder, "report").arg("-o").arg(&page).arg(&log).output().expect("portcullis report");
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        (incidents(&page), said(&done))
    };
    let (whole, quiet) = report(Path::new("/tmp"), "whole.html");
    assert!(whole.matches("Raw event").count() == 40 && !quiet.contains("TMPDIR"), "{quiet}");
    for folder in places(&place) {
        let (found, note) = report(&folder, "page.html");
        assert_eq!(found, whole, "{}", folder.display());
        assert!(note.contains("the log is read once more instead; help: TMPDIR"), "{note}");
        assert!(note.contains(&format!("cannot be kept in {}", folder.display())), "{note}");
    }
}

/// A pipe is read once only: what it would take to read it again is missing, and that is said.
#[test]
fn a_pipe_without_a_copy_is_read_once() {
    enter();
    let place = Place::new();
    place.write("portcullis.toml", "");
    let log = log(&place, NOTED);
    let listed = place.portcullis().args(["events", "--incidents", "--json"]).arg(&log).output().expect("portcullis");
    let incident: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("an incident");
    let id = incident["id"].as_str().expect("an ID");
    for folder in places(&place) {
        let why =
            format!("it is a pipe, which is read once, and no copy of it could be kept in {}: ", folder.display());
        let page = place.join("page.html");
        let done = piped(command(&place, &folder, "report").arg("-o").arg(&page).arg("-"), &log);
        assert!(done.status.code() == Some(1) && said(&done).contains(&why), "{}", said(&done));
        let text = std::fs::read_to_string(&page).expect("a page");
        assert!(text.contains("<strong>Events are missing in this page: </strong>") && text.contains(&why));
        assert!(incidents(&page).contains("could not be read again") && !text.contains("os error"), "{text}");
        let done = piped(command(&place, &folder, "events").args(["--incident", id, "-"]), &log);
        assert!(done.status.code() == Some(1) && said(&done).contains(&why), "{}", said(&done));
        let overview = String::from_utf8_lossy(&done.stdout);
        assert!(overview.contains("Steps") && overview.contains("calls: 80000 went ahead"), "{overview}");
        let done = piped(command(&place, &folder, "learn").args(["--include-rare", "--check", "-"]), &log);
        let proposal = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.code() == Some(1) && proposal.contains("# Read: 80000 events"), "{proposal}");
        assert!(said(&done).contains("TMPDIR names another directory"), "{}", said(&done));
    }
}

/// What is learnt needs a record of each event.
#[test]
fn without_its_records_nothing_is_learnt_and_that_is_said() {
    enter();
    let place = Place::new();
    let config = place.write("portcullis.toml", "");
    let (log, short) = (log(&place, RECORDED), log(&place, 1));
    for folder in places(&place) {
        let why = format!("cannot keep the records of events in {}: ", folder.display());
        let done = command(&place, &folder, "learn").arg(&log).output().expect("portcullis learn");
        assert!(done.status.code() == Some(1) && done.stdout.is_empty(), "{}", said(&done));
        assert!(said(&done).contains(&why) && said(&done).contains("help: TMPDIR"), "{}", said(&done));
        let page = place.join("page.html");
        let mut report = command(&place, &folder, "report");
        let done = report.args(["--proposal", "-o"]).arg(&page).arg(&log).output().expect("portcullis report");
        assert!(done.status.code() == Some(1) && said(&done).contains(&format!("nothing is proposed: {why}")));
        let text = std::fs::read_to_string(&page).expect("a page");
        assert!(text.contains(&format!("Nothing is proposed: {why}")) && text.contains("Raw event"), "{text}");
        // A copy of the configuration is small.
        let mut write = command(&place, &folder, "learn");
        write.args(["--include-rare", "--write-all", "--yes"]).arg(&short);
        let done = write.output().expect("portcullis learn");
        assert!(done.status.code() == Some(1) && said(&done).contains("help: TMPDIR"), "{}", said(&done));
        assert!(said(&done).contains(&format!("cannot copy the configuration to {}: ", folder.display())));
        assert_eq!(std::fs::read_to_string(&config).expect("a file"), "");
    }
}
