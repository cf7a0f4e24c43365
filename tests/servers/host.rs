//! scripts/host, which `make test` runs the tests by: it says what a command changed on the machine, each kind of thing, and
//! nothing of a command that changed nothing.

use crate::harness::{enter, own_run_and_dev};
use std::path::Path;
use std::process::{Command, Output};

/// Where the test has a control group made.
const GROUP: &str = "portcullis-test-host";

/// Each change, and how it is said.
const CHANGES: [(&str, &str); 12] = [
    // The time of the last change of what is in it is set back.
    ("touch -r /etc/hosts /tmp/was; echo >> /etc/hosts; touch -r /tmp/was /etc/hosts", "file changed: /etc/hosts\n"),
    ("chmod 600 /etc/passwd", "file changed: /etc/passwd\n"),
    ("echo > /usr/lib/portcullis-left; chmod 755 /usr/lib/portcullis-left", "file left: /usr/lib/portcullis-left\n"),
    ("rm /etc/fstab || rm /etc/debian_version", "file gone: /etc/"),
    ("mkdir -p /srv/site/a/b", "file left: /srv/site\n"),
    ("mkdir /tmp/.tmpAbCdEf", "file left: /tmp/.tmpAbCdEf\n"),
    ("mkdir /tmp/m; mount -t tmpfs none /tmp/m", "mount left: /tmp/m\n"),
    ("mount -t tmpfs none /opt", "mount changed: /opt\n"),
    ("setsid sleep 1234 & disown", "process left: "),
    ("ip address add 10.9.9.9/32 dev lo", "interface left: lo inet 10.9.9.9/32"),
    ("echo 77 > /proc/sys/net/ipv4/ip_default_ttl", "setting changed: /proc/sys/net/ipv4/ip_default_ttl\n"),
    ("ipcmk -M 100", "System V left: shm "),
];

fn host(command: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/host");
    // The layers of the test's own root are seen twice.
    Command::new(script)
        .args(["bash", "-c", command])
        .env("PORTCULLIS_HOST_MOVES", "/mnt/own")
        .output()
        .expect("python3")
}

#[test]
fn each_change_of_the_machine_is_said() {
    enter();
    own_run_and_dev();
    // What the machine's own folder has meanwhile would be seen below.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none", "/srv"]).status();
    assert!(mounted.expect("mount").success());
    let done = host("cat /etc/passwd > /dev/null; mkdir /usr/x; rmdir /usr/x; exit 7");
    let said = String::from_utf8_lossy(&done.stderr);
    // That a folder was written to can be seen.
    assert!(said.contains("in 1 ways") && said.contains("file changed: /usr\n"), "{said}");
    assert_eq!(done.status.code(), Some(7), "the command's own");
    let done = host("sh -c 'sleep 0.3 & exit 0'");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));

    let group = "for at in /sys/fs/cgroup/pids /sys/fs/cgroup; do mkdir $at/portcullis-test-host && break; done";
    let all = CHANGES.map(|(change, _)| change).join("\n");
    let done = host(&format!("{all}\n{group}\ntrue"));
    let said = String::from_utf8_lossy(&done.stderr);
    let groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(|at| Path::new(at).join(GROUP));
    // Where control groups can be made.
    let made: Vec<_> = groups.iter().filter(|group| std::fs::remove_dir(group).is_ok()).collect();
    assert_eq!(done.status.code(), Some(1), "{said}");
    for (change, line) in CHANGES {
        assert!(said.contains(line), "{change}: {said}");
    }
    for group in made {
        assert!(said.contains(&format!("control group left: {}\n", group.display())), "{said}");
    }
    assert!(!said.contains("/srv/site/a"), "not each file: {said}");
}
