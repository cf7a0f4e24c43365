//! The guard under valgrind: a program with many threads, and the servers with their workers and what these start.

use crate::harness::http::get;
use crate::harness::{Apache, Fpm, Guard, Kind, Nginx, OUTSIDE4, Parts, Place, Pool, enter, wait_until};
use crate::is_long;
use crate::threads::setting;
use std::os::unix::fs::PermissionsExt;

/// valgrind's logs, of which every process writes its own.
struct Logs<'p> {
    place: &'p Place,
    tool: &'static str,
}

impl<'p> Logs<'p> {
    fn new(place: &'p Place, tool: &'static str) -> Logs<'p> {
        let folder = place.join(tool);
        std::fs::create_dir(&folder).expect("a folder");
        // Workers without privileges start programs, which begin a log each.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("permissions");
        Logs { place, tool }
    }

    /// The command under which a program is run, and where that is wanted what it starts.
    fn command(&self, children: bool) -> Vec<String> {
        let log = format!("--log-file={}/%p", self.place.join(self.tool).display());
        let tool = format!("--tool={}", self.tool);
        let children = format!("--trace-children={}", if children { "yes" } else { "no" });
        ["valgrind", "-q", &tool, &children, &log].map(str::to_owned).to_vec()
    }

    /// What it reported, each report by itself, and how many processes it looked at.
    fn reports(&self) -> (Vec<String>, usize) {
        let (mut reports, mut processes) = (Vec::new(), 0);
        for file in std::fs::read_dir(self.place.join(self.tool)).expect("the folder").flatten() {
            processes += 1;
            let (mut report, mut announces) = (String::new(), false);
            for line in String::from_utf8_lossy(&std::fs::read(file.path()).expect("a log")).lines() {
                // `==PID== TEXT`: memcheck's reports end without text, helgrind's with a line.
                let text = line.splitn(3, "==").nth(2).unwrap_or_default().trim();
                let ends = if self.tool == "helgrind" { text.starts_with("--------") } else { text.is_empty() };
                // Where a thread of the next report was made, by the guard's pthread_create as any.
                announces = !ends && (announces || text.starts_with("---Thread-Announcement"));
                if ends {
                    reports.push(std::mem::take(&mut report));
                } else if !announces {
                    report += &format!("{text}\n");
                }
            }
            reports.push(report);
        }
        reports.retain(|report| report.contains("libportcullis"));
        (reports, processes)
    }

    /// What memcheck found. Whether a page can be read is asked of the kernel by a call that reads it, and the caller may have
    /// written nothing there yet.
    fn faults(&self) -> String {
        let (mut reports, _) = self.reports();
        reports.retain(|report| !report.contains("rt_sigprocmask"));
        reports.join("\n")
    }

    /// What helgrind found, and how much else it said. The guard takes no lock, and what its threads share are atomics, which
    /// helgrind takes for races, since it sees no lock. So what is looked for is anything else: a lock, or a race for memory
    /// that is not the guard's own. A signal handler of Apache that ends a process in the middle of dlopen ends it with the
    /// loader's locks held, without the guard too.
    fn races(&self) -> (String, usize) {
        let (mut reports, _) = self.reports();
        let all = reports.len();
        reports.retain(|report| report.contains("data race") || report.contains("lock"));
        reports.retain(|report| !(report.contains("data race") && is_own(report)));
        reports.retain(|report| !(report.contains("Exiting thread still holds") && report.contains("_dl_")));
        (reports.join("\n"), all)
    }
}

/// A guard with the library that valgrind can read. That lies apart from the command, so the policy is compiled here.
pub fn readable(place: &Place, mut guard: Guard) -> Guard {
    guard.library = place.library_for_valgrind();
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).status().expect("portcullis");
    assert!(done.success(), "the policy");
    guard
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// Whether a race is for memory of the guard's own.
fn is_own(report: &str) -> bool {
    let place = report.lines().find_map(|line| line.strip_prefix("Address ")).unwrap_or_default();
    let of_library = ["BSS", "Data"].iter().any(|kind| place.contains(&format!("is in the {kind} segment of")))
        && place.ends_with("libportcullis.so");
    // While a thread is on a stack of the guard's own, valgrind takes all between that and the thread's for its stack: what a tree of
    // processes shares, too.
    let mut tops = report.lines().filter(|line| line.starts_with("at "));
    let by_library = tops.all(|line| line.contains("libportcullis.so"));
    let shared = place.contains("in a rw- anonymous segment") || (by_library && place.ends_with("'s stack"));
    of_library || shared
}

#[test]
fn memcheck_of_threads() {
    let setting = setting().for_valgrind();
    let logs = Logs::new(&setting.place, "memcheck");
    setting.run(&words(&logs.command(false)), 4, if is_long() { 300 } else { 12 });
    assert!(logs.faults().is_empty(), "{}", logs.faults());
}

#[test]
fn helgrind_of_threads() {
    let setting = setting().for_valgrind();
    let logs = Logs::new(&setting.place, "helgrind");
    setting.run(&words(&logs.command(false)), 4, if is_long() { 300 } else { 12 });
    let (found, all) = logs.races();
    assert!(all > 0, "helgrind saw nothing at all");
    assert!(found.is_empty(), "{found}");
}

/// A page that does what the guard looks at, by PHP's own functions and by the programs that they start.
const PAGE: &str = "<?php echo trim(shell_exec('echo shell; /usr/bin/id > /dev/null')); \
    pclose(popen('/usr/sbin/sendmail -t -i', 'w')); \
    stream_socket_client('udp://OUTSIDE:4444'); @stream_socket_client('tcp://127.0.0.1:1', $number, $text, 1); \
    proc_close(proc_open(['/bin/true'], [], $pipes)); @gethostbyname('localhost');";

/// The events that the page brings about, each time that it is asked for: two programs that are shells, and a connection.
fn page_is_guarded(guard: &Guard, port: u16, times: usize) {
    let before = guard.events().all().len();
    for _ in 0..times {
        assert_eq!(get(port, "/all.php").body, "shell");
    }
    let of =
        |rule: &str| guard.events().all().iter().skip(before).filter(|event| event.text("rule.id") == rule).count();
    wait_until("the events", || of("shell-spawn") >= times && of("egress-port") >= times);
}

#[test]
fn memcheck_of_php_fpm() {
    enter();
    let place = Place::new();
    let www = place.pages();
    std::fs::write(www.join("all.php"), PAGE.replace("OUTSIDE", OUTSIDE4)).expect("a page");
    let guard = readable(&place, place.guard_of_every_event("mode = \"audit\"\n"));
    let logs = Logs::new(&place, "memcheck");
    let pool = Pool { global: "process_control_timeout = 30s".into(), ..Pool::default() };
    let mut fpm = Fpm::start_in(&place, Some(&guard), &pool, &words(&logs.command(true)));
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    page_is_guarded(&guard, nginx.port, 2);
    fpm.process.signal(libc::SIGUSR2);
    page_is_guarded(&guard, nginx.port, 2);
    fpm.process.stop(libc::SIGQUIT);
    let (_, processes) = logs.reports();
    assert!(processes > 8, "only {processes} processes were looked at");
    assert!(logs.faults().is_empty(), "{}", logs.faults());
}

#[test]
fn memcheck_of_apache_with_php() {
    enter();
    let place = Place::new();
    let www = place.pages();
    std::fs::write(www.join("all.php"), PAGE.replace("OUTSIDE", OUTSIDE4)).expect("a page");
    let guard = readable(&place, place.guard_of_every_event("mode = \"audit\"\n"));
    let logs = Logs::new(&place, "memcheck");
    let by = logs.command(true);
    let mut apache = Apache::start_in(&place, Some(&guard), Kind::ModPhp, None, "", 8082, &words(&by));
    page_is_guarded(&guard, apache.port, 2);
    apache.process.signal(libc::SIGUSR1);
    page_is_guarded(&guard, apache.port, 2);
    apache.process.stop(libc::SIGTERM);
    let (_, processes) = logs.reports();
    assert!(processes > 8, "only {processes} processes were looked at");
    assert!(logs.faults().is_empty(), "{}", logs.faults());
}

/// Apache's event MPM, whose threads accept side by side and connect to PHP-FPM, which is on a port.
#[test]
fn helgrind_of_apache_with_threads() {
    enter();
    let place = Place::new();
    let www = place.pages();
    std::fs::write(www.join("hello.php"), "<?php echo 'fine';").expect("a page");
    let guard = readable(&place, place.guard_of_every_event("mode = \"audit\"\n"));
    let logs = Logs::new(&place, "helgrind");
    let by = logs.command(false);
    let fpm = Fpm::start(&place, None, &Pool { port: Some(9001), ..Pool::default() });
    let pass = format!("ProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9001{}/$1\n", www.display());
    let mut apache = Apache::start_in(&place, Some(&guard), Kind::ProxyFcgi, Some(&fpm), &pass, 8082, &words(&by));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(get(8082, "/hello.php").body, "fine")));
        }
    });
    apache.process.stop(libc::SIGTERM);
    let (found, all) = logs.races();
    assert!(all > 0, "helgrind saw nothing at all");
    assert!(found.is_empty(), "{found}");
}
