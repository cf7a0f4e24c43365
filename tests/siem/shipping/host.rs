//! A host: a thread in namespaces of its own, with a name, a journal, and a cable to the others.

use crate::harness::{Process, enter, own_run_and_dev};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// The longest that the events may take, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something holds.
pub fn wait_long(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A host. What it runs ends with the value that each thing is.
pub struct Host {
    pub name: String,
    jobs: mpsc::Sender<Job>,
    thread: u32,
}

impl Host {
    /// One with its own network, root, name and /dev.
    pub fn new(name: &str) -> Host {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (started, thread) = mpsc::channel();
        let own = name.to_owned();
        std::thread::spawn(move || {
            enter();
            own_run_and_dev();
            // SAFETY: affects this thread only, and the name is as long as it says.
            let named = unsafe {
                libc::unshare(libc::CLONE_NEWUTS) == 0 && libc::sethostname(own.as_ptr().cast(), own.len()) == 0
            };
            assert!(named, "{}", std::io::Error::last_os_error());
            // A machine is known by this in its journal.
            let number = own.bytes().fold(7_u128, |sum, byte| sum * 131 + u128::from(byte));
            std::fs::write("/etc/machine-id", format!("{number:032x}\n")).expect("a file");
            // As systemd sets it on every host.
            std::fs::write("/proc/sys/net/unix/max_dgram_qlen", "512").expect("a setting");
            // SAFETY: asks for the number of this thread.
            started.send(unsafe { libc::gettid() }.cast_unsigned()).expect("the test");
            for job in inbox {
                job();
            }
        });
        Host { name: name.to_owned(), jobs, thread: thread.recv().expect("a host") }
    }

    /// Does something on this host.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let _ = self.jobs.send(Box::new(move || drop(done.send(job()))));
        result.recv().unwrap_or_else(|_| panic!("{}: a job failed", self.name))
    }

    /// Runs a program on this host, which has to end with 0.
    pub fn command(&self, line: &str) {
        let line = line.to_owned();
        let done = self.run(move || Command::new("sh").args(["-c", &line]).output().expect("sh"));
        assert!(done.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&done.stderr));
    }

    /// Starts a program on this host.
    pub fn start(&self, words: &[&str]) -> Process {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.run(move || {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).stdout(Stdio::null());
            Process::start(command, None)
        })
    }

    /// The same, and starts it again whenever it ends, as systemd does.
    pub fn keep(&self, words: &[&str]) -> Kept {
        let again = ["bash", "-c", "while :; do \"$@\"; sleep 0.5; done", "systemd"];
        Kept(self.start(&[&again[..], words].concat()))
    }

    /// A cable from this host to another: `there` is its end on the other, with an address.
    pub fn cable(&self, here: &str, other: &Host, address: &str) {
        self.command(&format!(
            "ip link add {here} type veth peer name eth0 netns {}; ip link set {here} master br0 up",
            other.thread
        ));
        other.command(&format!("ip address add {address}/24 dev eth0; ip link set eth0 up"));
    }
}

/// A program that is started again whenever it ends.
pub struct Kept(Process);

impl Kept {
    /// Ends the program; it is started again.
    pub fn end(&self, signal: i32) {
        for child in crate::harness::children(self.0.pid()) {
            if !std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n") {
                // SAFETY: a child of the shell that this test started.
                unsafe { libc::kill(child, signal) };
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the group that this test started the shell in.
        unsafe { libc::kill(-self.0.pid(), libc::SIGKILL) };
    }
}

/// Makes an authority, and a key and a certificate of it for each name, in `folder`.
pub fn certificates(folder: &Path, names: &[&str]) {
    let openssl = |line: &str| {
        let done = Command::new("openssl").current_dir(folder).args(line.split(' ')).output().expect("openssl");
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=test -days 2",
    );
    for name in names {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} \
             -addext subjectAltName=DNS:{name} -addext basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key -days 2"
        ));
    }
}
