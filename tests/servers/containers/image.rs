//! A container as an engine makes it: PID, mount and network namespaces, the server as PID 1, a pipe as its standard error, and neither
//! systemd nor a journal nor syslog. Its root is this thread's own, with an image's files in their places.

use crate::harness::{Place, Process, enter, own_run_and_dev, wait_until};
use serde_json::Value;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where the library lies in an image.
pub fn library() -> String {
    format!("/usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH)
}

/// Makes this thread's root that of an image which has the library, the command and the package's configuration.
pub fn image() -> Place {
    enter();
    own_run_and_dev();
    let place = Place::new();
    copied(&place.library(), &library());
    copied(&place.join("bin/portcullis"), "/usr/bin/portcullis");
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/portcullis.toml");
    copied(&packaged, "/etc/portcullis/portcullis.toml");
    place
}

fn copied(from: &Path, to: &str) {
    std::fs::create_dir_all(Path::new(to).parent().expect("a folder")).expect("folders");
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{} to {to}: {error}", from.display()));
}

/// Puts a file of an image into its place.
pub fn file(path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(Path::new(path).parent().expect("a folder")).expect("folders");
    let _ = std::fs::remove_file(path);
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// How an engine starts a container.
#[derive(Clone, Copy, Default)]
pub struct Options<'o> {
    /// `--user`; the engine gives standard error to it, as runc does.
    pub user: Option<u32>,
    /// `--read-only`, with /tmp and /run as empty file systems.
    pub is_read_only: bool,
    /// `--env`.
    pub env: &'o [(&'o str, &'o str)],
}

/// A running container.
pub struct Container {
    process: Process,
    collected: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Container {
    /// As `docker kill` does: with the first process, the kernel ends all others.
    fn drop(&mut self) {
        if !self.process.ended() {
            // SAFETY: the child of a child that was not waited for yet.
            unsafe { libc::kill(self.first(), libc::SIGKILL) };
            wait_until("the container to end", || self.process.ended());
        }
    }
}

/// Makes every mount of the root read-only, but for those that an engine gives beside it.
const READ_ONLY: &str = "
for at in $(findmnt --raw --noheadings --output TARGET | grep -Ev '^/(proc|dev|sys)(/|$)' | sort -r); do
  mount -o remount,bind,ro \"$at\" 2> /dev/null || true
done
mount -t tmpfs -o mode=1777 none /tmp
mount -t tmpfs -o mode=755 none /run
";

impl Container {
    /// Starts `command`, the entry point of an image and its arguments, and waits until it listens on `port`.
    pub fn start(options: Options<'_>, command: &[&str], port: u16) -> Container {
        use std::os::unix::fs::fchown;
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let writer = OwnedFd::from(writer);
        let collected = Arc::new(Mutex::new(Vec::new()));
        let user = options.user.map(|user| {
            fchown(&writer, Some(user), None).expect("owner");
            format!("setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all ")
        });
        let read_only = if options.is_read_only { READ_ONLY } else { "" };
        let env: String = options.env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
        let script = format!(
            "mount -t proc none /proc\n{read_only}cd /var/www/html\n\
             exec {}env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin {env}\"$@\"",
            user.unwrap_or_default()
        );
        let mut engine = Command::new("unshare");
        engine.args([
            "--mount",
            "--propagation=private",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-ec",
            &script,
            "sh",
        ]);
        engine.args(command).stdout(writer.try_clone().expect("a copy")).stderr(writer);
        let process = Process::start(engine, None);
        let into = collected.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut part) {
                into.lock().expect("no panic").extend_from_slice(&part[..length]);
            }
        });
        let mut container = Container { process, collected };
        wait_until("the container's server", || {
            assert!(!container.process.ended(), "it ended: {}", container.log());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        container
    }

    /// What the engine has collected so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.collected.lock().expect("no panic")).into_owned()
    }

    /// The events among it, once `count` are there beside what Portcullis says of itself.
    pub fn events(&self, count: usize) -> Vec<Value> {
        let now = || -> Vec<Value> { self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect() };
        let others = |events: &[Value]| events.iter().filter(|event| event["rule"]["id"] != "guard-policy").count();
        let end = Instant::now() + Duration::from_secs(20);
        // An answer may come before the engine has read the event.
        while others(&now()) < count && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let events = now();
        events.iter().for_each(crate::harness::events::hold_against_schema);
        events
    }

    /// The number of PID 1, outside of the container.
    pub fn first(&self) -> i32 {
        crate::harness::children(self.process.pid())[0]
    }

    /// Runs the command in the container, as `docker exec` does.
    pub fn portcullis(&self, words: &[&str]) -> String {
        let first = self.first().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &first, "--mount", "--pid", "portcullis"]).args(words);
        let done = command.output().expect("nsenter");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    }
}
