//! `portcullis doctor`, run by root, in a unit in which a script has started something.

use crate::machine::Machine;

/// A program of www-data's with the library, the role of a master, the name of Apache and something named as PHP's module in it.
const DECOY: &str = "setpriv --reuid 33 --regid 33 --clear-groups env -i LD_PRELOAD=$$LD_PRELOAD:/var/tmp/x/libphp.so /var/tmp/x/apache2 1000 &";

/// Makes the unit, and runs it with the guard.
fn start(machine: &Machine, settings: &str, then: &str) {
    let text = format!("[Service]\n{settings}\nExecStart=/bin/sh -c '{DECOY} {then}'\n");
    std::fs::write(machine.file("etc/systemd/system/decoy.service"), text).expect("a unit");
    machine.run("systemctl daemon-reload && portcullis install decoy && systemctl restart decoy && sleep 1");
}

/// What `doctor` says; it has started no Apache.
fn examined(machine: &Machine) -> String {
    let said = machine.try_run("timeout 60 portcullis doctor decoy");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let started = machine.run("journalctl -o cat --no-pager | grep 'portcullis-doctor-.*-apache.service' || true");
    assert_eq!(started, "", "{said}");
    assert!(said.contains("processes: all") && !said.contains("Apache"), "{said}");
    said
}

/// What a process of the unit says of itself has root start, ask and look into nothing.
#[test]
fn what_a_script_starts_is_not_started_by_root() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb && install -d -o www-data /var/tmp/x");
    // Any library will do.
    machine.run("cp /bin/sleep /var/tmp/x/apache2 && cp /lib/*-linux-gnu/libz.so.1 /var/tmp/x/libphp.so && chown -R www-data /var/tmp/x");
    // With a lower number than the main process.
    start(&machine, "Type=forking\nPIDFile=/run/decoy.pid", "sleep 1; sleep 1000 & echo $$! > /run/decoy.pid");
    let said = examined(&machine);
    assert!(!said.contains("warning  main process"), "{said}");
    // As the main process itself: systemd takes its word for it.
    let then = "decoy=$$!; systemd-notify --ready; setpriv --reuid 33 --clear-groups --regid 33 systemd-notify MAINPID=$$decoy; exec sleep 1000";
    start(&machine, "Type=notify\nNotifyAccess=all", then);
    assert_eq!(
        machine.run("systemctl show -P MainPID decoy"),
        machine.run("pgrep -f ^/var/tmp/x/apache2"),
        "the main process"
    );
    let said = examined(&machine);
    assert!(said.contains("which systemd calls the main process, is not root's but of user 33"), "{said}");
}
