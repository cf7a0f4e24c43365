//! What a local user leaves for root: entries in the journal, control groups, and files of the configuration that are none.

use crate::machine::{Machine, wait_until};
use serde_json::Value;

const UNIT: &str = "phpX.Y-fpm.service";

fn contradicted(event: &&Value) -> bool {
    event["portcullis"]["contradicted"].is_object()
}

/// The processes that `status` counts to the unit of PHP-FPM.
fn processes(machine: &Machine) -> usize {
    let all = machine.json("portcullis status --json");
    let unit = all["units"].as_array().expect("units").iter().find(|unit| unit["unit"] == UNIT).expect("PHP-FPM");
    unit["processes"].as_array().expect("processes").len()
}

#[test]
fn what_a_local_user_says_is_told_from_what_the_guard_says() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/*.deb && portcullis install nginx phpX.Y-fpm --now && useradd mallory");
    for act in ["shell", "connect"] {
        machine.run(&format!("curl -sS --max-time 20 'http://127.0.0.1/act.php?do={act}'"));
    }
    wait_until("the events", || machine.events().len() >= 2);
    let own = machine.events();
    assert_eq!(own.iter().find(contradicted), None, "the guard's own");

    // The same once more, by somebody else; and one that is longer than what journalctl shows unasked.
    let long = own[0].to_string().replacen("\"message\":\"", &format!("\"message\":\"{}", "x".repeat(6000)), 1);
    std::fs::write(machine.file("root/long"), &long).expect("a file");
    std::fs::write(machine.file("root/forged"), own[0].to_string()).expect("a file");
    machine.run("runuser -u mallory -- logger --size 16384 -t portcullis < /root/forged");
    machine.run("logger --size 16384 -t portcullis < /root/long");
    wait_until("both", || machine.events().len() == own.len() + 2);
    let all = machine.events();
    let forged: Vec<&Value> = all.iter().filter(contradicted).collect();
    assert_eq!(forged.len(), 2, "{forged:#?}");
    let uid = machine.run("id -u mallory");
    assert_eq!(forged[0]["portcullis"]["contradicted"]["user.id"], uid.trim());
    // Root's logger is no process of the event's.
    assert!(forged[1]["portcullis"]["contradicted"]["process.pid"].is_u64(), "{}", forged[1]);
    assert!(machine.run("portcullis events").contains("NOT WHAT THE JOURNAL SAYS"));
    assert!(all.iter().any(|event| event["message"].as_str().is_some_and(|message| message.len() > 6000)));

    // What a user's manager is given may have any name.
    let before = processes(&machine);
    machine.run(&format!(
        "g=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/{UNIT}; mkdir -p $g; sleep 1000 > /dev/null 2>&1 & echo $! > $g/cgroup.procs"
    ));
    assert_eq!(processes(&machine), before);

    // A FIFO is not waited for, and what only root may read is not in a log that others read.
    machine.run("mkdir -p /etc/portcullis/vhosts.d && mkfifo /etc/portcullis/vhosts.d/a.toml");
    machine.run("timeout 20 systemctl reload phpX.Y-fpm nginx");
    // A signal that PHP-FPM takes right before it executes itself is lost; systemd would wait for 90 seconds.
    wait_until("PHP-FPM's reload", || {
        machine
            .run("journalctl -u phpX.Y-fpm --no-pager; cat /var/log/phpX.Y-fpm.log")
            .contains("using inherited socket")
    });
    machine.run("timeout 20 systemctl restart phpX.Y-fpm && rm /etc/portcullis/vhosts.d/a.toml");
    machine
        .run("umask 077; printf 'hunter2 = hunter2\\n' > /etc/portcullis/vhosts.d/b.toml; systemctl reload phpX.Y-fpm");
    wait_until("the errors", || machine.run("journalctl -u portcullis-check --no-pager").contains("b.toml"));
    let said = machine.run("journalctl -u portcullis-check --no-pager");
    assert!(said.contains("b.toml: line 1, column") && !said.contains("hunter2"), "{said}");
    assert!(said.contains("a.toml: cannot be read: it is a FIFO"), "{said}");
    machine.run("curl -sS --max-time 20 'http://127.0.0.1/act.php?do=hello'");
}
