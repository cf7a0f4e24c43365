//! examples/fleet/: the Ansible role, linted, and run by SSH against two machines: installed, repeated, changed, with a mistake, and
//! with a change after which the site does not answer.

use crate::machine::{Machine, target, turn, wait_until};
use crate::root::own_root;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// A request that starts a shell.
const SHELL: &str = "curl -sS 'http://127.0.0.1/act.php?do=shell'";

fn fleet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet")
}

/// A program of the Python environment that `scripts/tools` makes.
fn tool(name: &str) -> Command {
    let folder = target().join("tools/python/bin");
    assert!(folder.join(name).exists(), "make the tools first: scripts/tools");
    let mut command = Command::new(folder.join(name));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display())).env("ANSIBLE_NOCOLOR", "1").env("NO_COLOR", "1");
    command.current_dir(fleet());
    command
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

#[test]
fn the_role_is_linted() {
    let done = tool("ansible-lint").arg("--offline").output().expect("ansible-lint");
    assert!(done.status.success(), "{}", said(&done));
}

/// A task of Ansible's takes a tenth of a second and more for each item, and there may be 10,000 virtual hosts.
#[test]
fn no_task_is_run_for_each_virtual_host() {
    let tasks = std::fs::read_dir(fleet().join("roles/portcullis/tasks")).expect("tasks");
    let texts: Vec<String> =
        tasks.map(|task| std::fs::read_to_string(task.expect("a task").path()).expect("text")).collect();
    let loops: Vec<&str> =
        texts.iter().flat_map(|text| text.lines()).filter(|line| line.trim_start().starts_with("loop: ")).collect();
    assert!(texts.iter().any(|text| text.contains("ansible.builtin.unarchive")));
    assert!(!loops.is_empty() && !loops.iter().any(|line| line.contains("portcullis_vhosts")), "{loops:?}");
}

fn run(line: &str) {
    let done = Command::new("sh").args(["-c", line]).output().expect("sh");
    assert!(done.status.success(), "{line}: {}", said(&done));
}

/// Two machines on a bridge of this thread's own network, and where Ansible finds what it needs.
struct Fleet {
    machines: [Machine; 2],
    folder: tempfile::TempDir,
}

impl Fleet {
    fn boot() -> Fleet {
        own_root(&[]);
        // SAFETY: affects this thread, and what it starts.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "the tests need root");
        run("ip link set lo up; ip link add br0 type bridge; ip address add 10.8.0.1/24 dev br0; ip link set br0 up");
        let folder = tempfile::tempdir().expect("a folder");
        run(&format!("ssh-keygen -q -t ed25519 -N '' -f {}/key", folder.path().display()));
        let key = std::fs::read_to_string(folder.path().join("key.pub")).expect("a key");
        let turn = Arc::new(turn());
        let machines = [1, 2].map(|number| {
            let machine = Machine::boot_as(&format!("portcullis-web{number}"), "fleet", Arc::clone(&turn));
            run(&format!("ip link add v{number} type veth peer name eth0 netns {}; ip link set v{number} master br0 up", machine.leader));
            machine.run(&format!(
                "ip address add 10.8.0.1{number}/24 dev eth0; ip link set eth0 up\n\
                 install -d -m 700 /root/.ssh; echo '{}' > /root/.ssh/authorized_keys; systemctl start ssh nginx phpX.Y-fpm",
                key.trim()
            ));
            machine
        });
        Fleet { machines, folder }
    }

    /// Runs the playbook with these variables on top of the fleet's own.
    fn play(&self, more: &Value) -> Output {
        let package = std::fs::read_dir(target().join("packages")).expect("make the packages first: scripts/packages");
        let package = package.map(|entry| entry.expect("an entry").path());
        let mut packages = package.filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("portcullis_") && name.ends_with(".deb"))
        });
        let mut vars = json!({
            "ansible_user": "root",
            "ansible_ssh_private_key_file": self.folder.path().join("key"),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "ansible_python_interpreter": "/usr/bin/python3",
            "portcullis_package": packages.next().expect("a package"),
            "portcullis_health_urls": ["http://127.0.0.1/act.php?do=quiet"],
            "portcullis_vhosts": [{ "name": "shop", "match": { "document_root": "/var/www/html" }, "egress_allow": ["192.88.1.10:587"] }],
        });
        vars.as_object_mut().expect("variables").extend(more.as_object().expect("variables").clone());
        let inventory = json!({ "web": {
            "hosts": { "web1": { "ansible_host": "10.8.0.11" }, "web2": { "ansible_host": "10.8.0.12" } }, "vars": vars,
        } });
        let path = self.folder.path().join("inventory.yml");
        std::fs::write(&path, inventory.to_string()).expect("a file");
        tool("ansible-playbook")
            .env("ANSIBLE_HOME", self.folder.path())
            .arg("-i")
            .arg(path)
            .arg("site.yml")
            .output()
            .expect("ansible-playbook")
    }

    /// The mode that both machines have, as `portcullis explain` says it.
    fn modes(&self) -> [String; 2] {
        self.machines.each_ref().map(|machine| {
            let explained = machine.json("portcullis explain --json --document-root /var/www/html --exec id || true");
            explained["mode"].as_str().unwrap_or_default().to_owned()
        })
    }
}

/// How many tasks of a host did what, by Ansible's last lines.
fn recap<'a>(said: &'a str, host: &str) -> &'a str {
    let after = said.split("PLAY RECAP").nth(1).unwrap_or_default();
    after.lines().find(|line| line.starts_with(host)).unwrap_or_default()
}

#[test]
fn a_fleet_gets_its_policy_and_keeps_the_earlier_one_where_that_fails() {
    let fleet = Fleet::boot();
    let first = fleet.play(&json!({}));
    let text = said(&first);
    assert!(first.status.success(), "{text}");
    for machine in &fleet.machines {
        machine.run("portcullis status");
        assert_eq!(machine.run(SHELL), "www-data\n");
    }
    assert_eq!(fleet.modes(), ["audit", "audit"]);

    // Once more: nothing is changed.
    let again = fleet.play(&json!({}));
    let text = said(&again);
    assert!(again.status.success(), "{text}");
    for host in ["web1", "web2"] {
        assert!(recap(&text, host).contains("changed=0"), "{text}");
    }

    // To enforce, by a reload, with another virtual host and without the first.
    let other = json!([{ "name": "other", "match": { "document_root": "/var/www/html" }, "mode": "enforce", "why": "nothing is started here" }]);
    let enforced = fleet.play(&json!({ "portcullis_vhosts": other, "portcullis_metrics": true }));
    assert!(enforced.status.success(), "{}", said(&enforced));
    assert_eq!(fleet.modes(), ["enforce", "enforce"]);
    for machine in &fleet.machines {
        assert_eq!(machine.run("ls /etc/portcullis/vhosts.d"), "other.toml\n");
        assert_eq!(machine.run(SHELL), "refused");
        machine.run("systemctl is-active portcullis-metrics.timer");
        // What the journal has is counted once, however often it is looked at.
        let metrics = "/var/lib/prometheus/node-exporter/portcullis.prom";
        let wanted = "portcullis_calls_total{vhost=\"other\",rule=\"shell-spawn\",outcome=\"failure\"} 1\n";
        for _ in 0..2 {
            wait_until("the count", || {
                machine.run(&format!("systemctl start portcullis-metrics.service; cat {metrics}")).contains(wanted)
            });
        }
    }

    // A mistake is found before anything is touched, on the first host, and the second is not asked.
    let mistaken = fleet.play(&json!({ "portcullis_vhosts": other, "portcullis_egress_allow": ["example.com:http"] }));
    let text = said(&mistaken);
    assert!(
        !mistaken.status.success()
            && text.contains("The policy is not applied")
            && text.contains("`http` is not a port"),
        "{text}"
    );
    assert!(recap(&text, "web2").is_empty(), "{text}");

    // A change after which the site does not answer is taken back, and does not reach the second host.
    let health = json!(["http://127.0.0.1/act.php?do=quiet", "http://127.0.0.1/nowhere.php"]);
    let changed = json!({ "portcullis_vhosts": [], "portcullis_mode": "off", "portcullis_health_urls": health });
    let broken = fleet.play(&changed);
    let text = said(&broken);
    assert!(!broken.status.success() && text.contains("The policy was taken back"), "{text}");
    assert!(recap(&text, "web2").is_empty(), "{text}");
    assert_eq!(fleet.modes(), ["enforce", "enforce"]);
    for machine in &fleet.machines {
        assert_eq!(machine.run("ls /etc/portcullis/vhosts.d"), "other.toml\n");
        assert_eq!(machine.run(SHELL), "refused");
        machine.run("portcullis status");
    }
}
