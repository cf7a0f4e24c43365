//! What a reload does, and what one does not reach.

use crate::machine::{Machine, wait_until};
use std::collections::BTreeSet;

/// The processes that have read the configuration for systemd so far.
fn readers(machine: &Machine) -> BTreeSet<String> {
    let said = machine.run("journalctl -o json -u portcullis-apply -u portcullis-check --output-fields=MESSAGE,_PID");
    let entries = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let of_config = entries.filter(|entry| entry["MESSAGE"].as_str().is_some_and(|said| said.contains(" 0 warnings")));
    of_config.map(|entry| entry["_PID"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_reload_reads_the_configuration_once() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb && portcullis install nginx phpX.Y-fpm --now");
    let before = readers(&machine);
    machine.run("mkdir -p /etc/portcullis/vhosts.d");
    for (line, is_right) in [("match = { document_root = \"/srv/shop\" }", true), ("nonsense =", false)] {
        let before = readers(&machine);
        machine.run(&format!("printf '%s\\n' 'name = \"shop\"' '{line}' > /etc/portcullis/vhosts.d/shop.toml && systemctl reload phpX.Y-fpm"));
        wait_until("a reader", || readers(&machine).len() > before.len());
        // The reload of apply's own unit ends before that of the server begins, and with it all that it has started.
        let state = machine.try_run("systemctl is-failed portcullis-check");
        assert_eq!(state.status.success(), !is_right, "{line}: {state:?}");
        let new: Vec<String> = readers(&machine).difference(&before).cloned().collect();
        assert_eq!(new.len(), 1, "{line}: {new:?}");
    }
    assert_eq!(readers(&machine).len(), before.len() + 2);
}

/// What was printed by a command that ends with 1.
fn complained(machine: &Machine, command: &str) -> String {
    let done = machine.try_run(command);
    assert_eq!(done.status.code(), Some(1), "{command}: {done:?}");
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn what_portcullis_run_has_started_is_named_where_it_is_not_reached() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb && sed -i 's/^mode = .*/mode = \"enforce\"/' /etc/portcullis/portcullis.toml");
    machine
        .run("portcullis install phpX.Y-fpm --now && portcullis apply && portcullis panic && portcullis panic --undo");
    let by_hand =
        "(cd / && exec setsid portcullis run -- php -S 127.0.0.1:8091 -t /var/www/html) > /dev/null 2>&1 & echo $!";
    let by_unit = "systemd-run --quiet --unit=shop portcullis run -- php -S 127.0.0.1:8092 -t /var/www/html";
    let ask = |port: u16| machine.run(&format!("curl -sS --max-time 20 'http://127.0.0.1:{port}/act.php?do=shell'"));
    let wait_for = |port: u16| {
        let line = format!("curl -sS --max-time 20 'http://127.0.0.1:{port}/act.php?do=hello'");
        wait_until("the server", || machine.try_run(&line).status.success());
    };
    let start = || {
        let pid = machine.run(by_hand).trim().to_owned();
        wait_for(8091);
        pid
    };
    let pid = start();
    machine.run(by_unit);
    wait_for(8092);
    // Nothing has changed since they began.
    machine.run("portcullis apply");
    let status = machine.try_run("portcullis status");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("of `portcullis run`: neither") && !status.contains("not what the"), "{status}");

    for command in ["portcullis panic", "portcullis apply"] {
        let said = complained(&machine, command);
        let named = format!(
            "not reached: process {pid} (php -S 127.0.0.1:8091 -t /var/www/html), outside of units; help: end the"
        );
        assert!(said.contains(&named), "{command}: {said}");
        assert!(
            said.contains("8092 -t /var/www/html), shop.service; help: systemctl restart shop.service"),
            "{command}: {said}"
        );
        assert_eq!(said.matches("not reached").count(), 2, "{command}: {said}");
    }
    assert_eq!([8091, 8092].map(ask), ["refused", "refused"]);
    let status = machine.try_run("portcullis status");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.matches("not what the configuration says now").count(), 2, "{status}");

    // What was said helps.
    machine.run(&format!("kill {pid} && systemctl restart shop"));
    wait_for(8092);
    let pid = start();
    machine.run("portcullis panic && portcullis apply");
    assert_eq!([8091, 8092].map(ask), ["www-data\n", "www-data\n"].map(|_| machine.run("id -un")));
    let back = complained(&machine, "portcullis panic --undo");
    assert!(back.contains(&format!("not reached: process {pid} ")), "{back}");
}
