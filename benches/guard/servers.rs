//! Whole requests through real servers, bare and guarded in three ways, in turn; and what a worker's memory has of the guard.

use crate::harness::{Apache, Fpm, Guard, Kind, Nginx, Place, Pool, children};
use crate::load::{load, used};
use crate::spread;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

const ROUNDS: usize = 15;
/// Seconds of one round of one page of one server.
const SECONDS: &str = "1";
const INCLUDES: usize = 50;
/// Questions to the database for one page.
const QUESTIONS: usize = 20;

/// The servers in one of the ways: each on ports of its own.
struct Servers {
    name: &'static str,
    _place: Place,
    _guard: Option<Guard>,
    fpm: Fpm,
    nginx: Nginx,
    apache: Apache,
}

/// A page: its name, its path, whether Apache serves it.
const PAGES: [(&str, &str, bool); 6] = [
    ("nginx, a file", "/static.txt", false),
    ("nginx + FPM, hello", "/hello.php", false),
    ("nginx + FPM, 50 includes and a database", "/site.php", false),
    ("Apache mod_php, hello", "/hello.php", true),
    ("Apache mod_php, 50 includes and a database", "/site.php", true),
    ("nginx + FPM, an allowed popen", "/popen.php", false),
];

/// Answers each line on a socket, as a database does.
fn database(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("permissions");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a socket");
                for _ in BufReader::new(stream).lines().map_while(Result::ok) {
                    if answers.write_all(b"1;a title;a body\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn pages(place: &Place) {
    let www = place.pages();
    let write = |name: &str, text: &str| std::fs::write(www.join(name), text).expect("a page");
    write("static.txt", "hello");
    write("hello.php", "<?php echo 'hello';");
    // What the built-in policy allows, so that no event is written.
    write("popen.php", "<?php pclose(popen('/usr/sbin/sendmail -t -i', 'w')); echo 'hello';");
    std::fs::create_dir(www.join("inc")).expect("a folder");
    for number in 0..INCLUDES {
        let text = format!("<?php function f{number}($x) {{ return htmlspecialchars(strrev($x)) . {number}; }}\n");
        write(&format!("inc/{number}.php"), &text);
    }
    let socket = place.join("db.sock");
    database(&socket);
    write(
        "site.php",
        &format!(
            "<?php for ($i = 0; $i < {INCLUDES}; $i++) require __DIR__ . \"/inc/$i.php\";\n\
             $db = stream_socket_client('unix://{}');\n\
             for ($i = 0; $i < {QUESTIONS}; $i++) {{ fwrite($db, \"SELECT $i\\n\"); echo f1(fgets($db)); }}\n",
            socket.display()
        ),
    );
}

impl Servers {
    fn start(name: &'static str, config: Option<&str>, port: u16) -> Servers {
        let place = Place::new();
        pages(&place);
        let guard = config.map(|config| place.guard(config));
        let fpm = Fpm::start(&place, guard.as_ref(), &Pool::default());
        let location = fpm.nginx_location(&place.join("www"));
        let nginx = Nginx::start_on(&place, guard.as_ref(), &location, port);
        let apache = Apache::start_on(&place, guard.as_ref(), Kind::ModPhp, None, "", port + 50);
        Servers { name, _place: place, _guard: guard, fpm, nginx, apache }
    }

    /// One round of a page.
    fn measure(&self, page: &str, by_apache: bool) -> Round {
        let (port, masters) = match by_apache {
            true => (self.apache.port, vec![self.apache.process.pid()]),
            false => (self.nginx.port, vec![self.nginx.process.pid(), self.fpm.process.pid()]),
        };
        let before = used(&masters);
        let load = load(&format!("http://127.0.0.1:{port}{page}"), SECONDS);
        Round { rate: load.rate, latency: load.latency, processor: (used(&masters) - before) / load.requests }
    }
}

/// What one round of a page took: requests per second, milliseconds, and microseconds of processor time for a request.
struct Round {
    rate: f64,
    latency: f64,
    processor: f64,
}

pub fn run() {
    // The tools that the pages use are allowed, so that no event is written.
    let rules = "[rules]\nexec-tool = { mode = \"off\" }\nexec-place = { mode = \"off\" }\n";
    let ways = [
        Servers::start("bare", None, 8100),
        Servers::start("audit", Some(&format!("mode = \"audit\"\n{rules}")), 8101),
        Servers::start("enforce", Some(&format!("mode = \"enforce\"\n{rules}")), 8102),
        Servers::start(
            "supervise",
            Some(&format!("mode = \"audit\"\n{rules}[backstop]\nseccomp = \"supervise\"\n")),
            8103,
        ),
    ];
    println!("### A server\n");
    println!(
        "By wrk on 4 connections, {ROUNDS} rounds of {SECONDS} s in turn: requests per second, the 99th percentile of latency \
         in milliseconds, and by the kernel's account the microseconds of processor time that the workers took for a \
         request, each the median; and the ratios to the bare server of the same round: lowest, median, highest.\n"
    );
    println!(
        "| page | server | per second | p99 | ratio: lowest | median | highest | processor | ratio: lowest | median | highest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, page, by_apache) in PAGES {
        let mut figures: Vec<Vec<Round>> = ways.iter().map(|_| Vec::new()).collect();
        for way in &ways {
            way.measure(page, by_apache);
        }
        for round in 0..ROUNDS {
            // Which comes first moves on.
            for step in 0..ways.len() {
                let at = (round + step) % ways.len();
                figures[at].push(ways[at].measure(page, by_apache));
            }
        }
        for (way, rounds) in ways.iter().zip(&figures) {
            let median = |of: fn(&Round) -> f64| spread(&mut rounds.iter().map(of).collect::<Vec<_>>()).1;
            let ratios = |of: fn(&Round) -> f64| {
                let mut ratios: Vec<f64> =
                    rounds.iter().zip(&figures[0]).map(|(round, bare)| of(round) / of(bare)).collect();
                let (low, middle, high) = spread(&mut ratios);
                format!("{low:.3} | {middle:.3} | {high:.3}")
            };
            println!(
                "| {name} | {} | {:.0} | {:.2} | {} | {:.1} | {} |",
                way.name,
                median(|round| round.rate),
                median(|round| round.latency),
                ratios(|round| round.rate),
                median(|round| round.processor),
                ratios(|round| round.processor)
            );
        }
    }
    println!();
    println!("### Memory\n");
    println!(
        "KiB of a worker that has served the pages above: the guard's own that no other process shares, and its policy.\n"
    );
    println!("| worker | server | private | policy, private | policy, resident |");
    println!("| --- | --- | --- | --- | --- |");
    for way in &ways[1..] {
        let masters = [
            ("nginx", way.nginx.process.pid()),
            ("php-fpm", way.fpm.process.pid()),
            ("apache2", way.apache.process.pid()),
        ];
        for (name, master) in masters {
            let workers = children(master).into_iter().map(memory);
            let [private, policy, shared] = workers.max().expect("a worker");
            println!("| {name} | {} | {private} | {policy} | {shared} |", way.name);
        }
    }
    println!();
}

/// KiB of a process: private and dirty of the library, private of the policy, shared of the policy.
fn memory(pid: i32) -> [u64; 3] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    let (mut of_library, mut of_policy, mut end, mut sums) = (false, false, String::new(), [0; 3]);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-').filter(|_| !first.ends_with(':')) {
            let path = words.nth(4).unwrap_or_default();
            // What is zero in the file lies in a mapping without a name behind it.
            of_library = path.ends_with("libportcullis.so") || (of_library && path.is_empty() && from == end);
            of_policy = path.starts_with("/run/portcullis/policy");
            end = to.to_owned();
            assert!(!of_policy || line.contains(" r--s "), "the policy is mapped to be read only: {line}");
            continue;
        }
        let size: u64 = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
        match first {
            "Private_Dirty:" if of_library => sums[0] += size,
            // A file in memory is never clean.
            "Anonymous:" if of_policy => sums[1] += size,
            "Rss:" if of_policy => sums[2] += size,
            _ => {}
        }
    }
    sums
}
