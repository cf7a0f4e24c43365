//! The life of a guard: installed, seen, learnt from, reloaded, rotated, upgraded, taken out, purged.

use crate::hardened::{HARDENING, harden};
use crate::machine::{Machine, wait_until};
use serde_json::Value;

const UNITS: [&str; 3] = ["apache2.service", "nginx.service", "phpX.Y-fpm.service"];

/// Every file outside of what servers write at any time.
const FILES: &str = "find /etc /usr /var/lib /run -xdev \\( -path '/run/systemd*' -o -path '/run/log*' -o -path '/run/udev*' \
                     -o -path /run/php -o -path '/var/lib/dpkg*' -o -path '/var/lib/systemd*' -o -path '/var/lib/php*' -o -path '/var/lib/nginx*' \
                     -o -path '/run/lock*' -o -path '/run/apache2*' -o -path '/run/nspawn*' -o -path '/run/host*' -o -name '*.pid' \
                     -o -path '/etc/alternatives*' -o -name 'ld.so.cache' -o -path '/var/lib/logrotate*' -o -name '.updated' -o -name agetty.reload \\) -prune -o -print | sort";

fn ask(machine: &Machine, what: &str) -> String {
    machine.run(&format!("curl -sS --max-time 20 'http://127.0.0.1/act.php?do={what}'"))
}

/// The unit's part of `status --json`.
fn status(machine: &Machine, unit: &str) -> Value {
    let all = machine.json("portcullis status --json");
    let units = all["units"].as_array().expect("units");
    units.iter().find(|known| known["unit"] == unit).unwrap_or_else(|| panic!("{unit}: {all:#}")).clone()
}

fn count(machine: &Machine, rule: &str, outcome: &str) -> usize {
    let is_it = |event: &&Value| event["rule"]["id"] == rule && event["event"]["outcome"] == outcome;
    machine.events().iter().filter(is_it).count()
}

#[test]
fn from_install_to_purge() {
    life("");
}

/// The same with units that are hardened as far as they run at all.
#[test]
fn from_install_to_purge_of_hardened_units() {
    life(HARDENING);
}

fn life(hardening: &str) {
    let machine = Machine::boot();
    if !hardening.is_empty() {
        harden(&machine, hardening, "RestrictAddressFamilies=AF_UNIX\n");
    }
    let before = machine.run(FILES);
    machine.run("dpkg -i /packages/*.deb");

    // Nothing is written before it was shown.
    let shown = machine.run("portcullis install apache2 nginx phpX.Y-fpm --dry-run");
    assert!(shown.contains("+ Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libportcullis.so"), "{shown}");
    machine.run("test ! -e /etc/systemd/system/nginx.service.d/portcullis.conf");
    machine.run("portcullis install apache2 nginx phpX.Y-fpm --now --module");
    let again = machine.run("portcullis install apache2 nginx phpX.Y-fpm");
    assert!(!again.replace("unchanged", "").contains("changed") && !again.contains("new"), "{again}");
    for unit in UNITS {
        let status = status(&machine, unit);
        let processes = status["processes"].as_array().expect("processes");
        assert!(processes.len() > 1, "{status:#}");
        for process in processes {
            assert_eq!(process["guarded"], true, "{process:#}");
            assert_eq!(process["policy"]["current"], true, "{process:#}");
        }
    }
    machine.run("portcullis status");

    // What happens is in the journal, with its fields and the request behind it.
    assert_eq!(ask(&machine, "hello"), "hello");
    assert_eq!(ask(&machine, "shell"), "www-data\n");
    ask(&machine, "connect");
    let of_apache = machine.run("curl -sS 'http://127.0.0.1:8080/act.php?do=shell'");
    assert_eq!(of_apache, "www-data\n");
    wait_until("the events", || machine.events().len() >= 3);
    let entry = machine.json("journalctl -o json RULE_ID=egress-port | head -n 1");
    assert_eq!((&entry["DESTINATION_PORT"], &entry["URL_ORIGINAL"]), (&"4444".into(), &"/act.php?do=connect".into()));
    assert_eq!(entry["_SYSTEMD_UNIT"], "phpX.Y-fpm.service");
    assert!(machine.events().iter().all(|event| event["url"]["original"].is_string()), "every request is known");
    let counters = &status(&machine, "phpX.Y-fpm.service")["counters"];
    assert!(counters["audits"] == 2 && counters["decisions"].as_u64() >= Some(2), "{counters:#}");
    let since = |machine: &Machine| status(machine, "phpX.Y-fpm.service")["counters"]["since"].to_string();
    let begun = since(&machine);
    assert!(begun.starts_with("\"20") && begun.ends_with("Z\""), "{begun}");
    // A reload in the same second has the same time.
    wait_until("counters of their own", || {
        machine.run("systemctl reload phpX.Y-fpm");
        ![begun.clone(), "null".into()].contains(&since(&machine))
    });
    let listed = machine.run("portcullis events --incidents");
    assert!(listed.contains("Shell command") && listed.contains("WENT AHEAD"), "{listed}");
    let id = listed.split_whitespace().nth(1).unwrap_or_default();
    let shown = machine.run(&format!("portcullis events --incident {id}"));
    assert!(shown.lines().any(|line| line.starts_with("GET ")), "{shown}");

    for unit in ["apache2", "nginx", "phpX.Y-fpm"] {
        let said = machine.run(&format!("portcullis doctor {unit}"));
        assert!(said.lines().all(|line| line.starts_with("fine")), "{said}");
        // PHP is in Apache too.
        assert_eq!(said.contains("RTLD_DEEPBIND"), unit != "nginx", "{said}");
    }
    machine.run("test -z \"$(ls /run/systemd/system | grep doctor)\"");

    learns(&machine);
    refuses(&machine);
    rotates(&machine);
    is_upgraded(&machine);

    // Without the library, and without the command, the servers start all the same.
    machine.run("mv /usr/lib/x86_64-linux-gnu/libportcullis.so /usr/bin/portcullis /root/");
    machine.run("systemctl restart apache2 nginx phpX.Y-fpm && systemctl is-active apache2 nginx phpX.Y-fpm");
    assert_eq!(ask(&machine, "hello"), "hello");
    machine.run("mv /root/libportcullis.so /usr/lib/x86_64-linux-gnu/ && mv /root/portcullis /usr/bin/");

    // Uninstalled without a restart, and then with one.
    machine.run("portcullis uninstall");
    machine.run("portcullis uninstall --now");
    let none = machine.run("portcullis status");
    assert!(none.contains("Nothing is guarded"), "{none}");
    assert_eq!(ask(&machine, "shell"), "www-data\n");
    // A unit that still runs as it was before.
    machine.run("portcullis install nginx");
    let exposed = machine.try_run("portcullis status");
    assert_eq!(exposed.status.code(), Some(1));
    let applied = machine.try_run("portcullis apply");
    let said = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(applied.status.code() == Some(1) && said.contains("nginx.service: not guarded"), "{said}");
    assert!(String::from_utf8_lossy(&exposed.stdout).contains("NOT GUARDED"));
    machine.run("systemctl restart nginx");
    wait_until("nginx", || machine.try_run("portcullis status").status.success());
    machine.run("dpkg -P libapache2-mod-portcullis libnginx-mod-http-portcullis portcullis");
    machine.run("systemctl is-active apache2 nginx phpX.Y-fpm");
    assert_eq!(ask(&machine, "shell"), "www-data\n");
    let after = machine.run(FILES);
    let left: Vec<&str> = after.lines().filter(|file| !before.lines().any(|known| known == *file)).collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// What was seen is allowed by what `learn` writes, after a reload.
fn learns(machine: &Machine) {
    ask(machine, "command");
    wait_until("the event", || machine.run("portcullis learn --include-rare").contains("/usr/bin/id -un"));
    let proposed = machine.run("portcullis learn --include-rare");
    assert!(
        proposed.contains("\"192.88.1.10:4444\"") && proposed.contains("NOT proposed: sh -c id -un; true"),
        "{proposed}"
    );
    machine.run("portcullis learn --include-rare --write portcullis.toml");
    let text = machine.run("cat /etc/portcullis/portcullis.toml");
    assert!(text.contains("# audit writes events and changes nothing"), "comments stay: {text}");
    machine.run("portcullis check && systemctl reload phpX.Y-fpm");
    let before = machine.events().len();
    wait_until("the new policy", || {
        status(machine, "phpX.Y-fpm.service")["processes"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["policy"]["current"] == true))
            && machine.run("portcullis status").contains("the configuration on disk is the applied one")
    });
    ask(machine, "connect");
    ask(machine, "command");
    ask(machine, "shell");
    wait_until("the event", || machine.events().len() > before);
    assert_eq!(machine.events().len(), before + 1, "the shell alone");
}

/// A reload puts a new mode in force; a broken file keeps the old one.
fn refuses(machine: &Machine) {
    let shown = machine.run("portcullis install phpX.Y-fpm --mode enforce --dry-run");
    let (note, change) = (
        shown.find("note: mode = \"enforce\" in ").expect("a note"),
        shown.find("+ mode = \"enforce\"").expect("a change"),
    );
    assert!(note < change && shown.contains(&format!("with this configuration: {}; ", UNITS.join(", "))), "{shown}");
    machine.run("portcullis install phpX.Y-fpm --mode enforce --now > /dev/null");
    wait_until("the new mode", || ask(machine, "shell") == "refused");
    // Apache's own reload, and nginx's.
    machine.run("systemctl reload apache2 nginx");
    let of_apache = || machine.run("curl -sS --max-time 20 'http://127.0.0.1:8080/act.php?do=shell'");
    wait_until("the new mode in Apache", || of_apache() == "refused");
    wait_until("the new policy in nginx", || {
        let status = status(machine, "nginx.service");
        status["processes"].as_array().is_some_and(|all| all.iter().all(|one| one["policy"]["current"] == true))
    });
    wait_until("the event", || count(machine, "shell-spawn", "failure") > 0);
    machine.run("cp -a /etc/portcullis/portcullis.toml /root/ && echo 'nonsense =' >> /etc/portcullis/portcullis.toml");
    machine.run("systemctl reload phpX.Y-fpm");
    let said = || machine.run("journalctl -u portcullis-check -o cat");
    wait_until("the error", || said().contains("nothing was applied"));
    assert!(said().contains("portcullis.toml:"), "{}", said());
    assert_eq!(ask(machine, "shell"), "refused", "the last good policy holds");
    // systemd says so, too: a failed reload alone leaves no failed unit.
    let failed =
        || machine.run("systemctl list-units --failed --no-legend --plain").contains("portcullis-check.service");
    wait_until("a failed unit", failed);
    let shown = machine.try_run("systemctl status portcullis-check --no-pager");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("portcullis.toml"), "{shown:?}");
    machine.run("mv /root/portcullis.toml /etc/portcullis/portcullis.toml && sed -i 's/enforce\"/audit\"/' /etc/portcullis/portcullis.toml");
    keeps(machine);
    machine.run("systemctl reload phpX.Y-fpm");
    wait_until("the old mode", || ask(machine, "shell") == "www-data\n");
    wait_until("no failed unit", || !failed());
}

/// What was written but not applied is in force neither for a worker that takes the place of another, nor after a restart.
fn keeps(machine: &Machine) {
    let workers = || machine.run("pgrep -u www-data php-fpmX.Y || true");
    wait_until("workers", || !workers().is_empty());
    let before = workers();
    machine.run("pkill -KILL -u www-data php-fpmX.Y");
    let is_another = |now: &str| !now.is_empty() && !now.lines().any(|pid| before.lines().any(|known| known == pid));
    wait_until("other workers", || is_another(&workers()));
    assert_eq!(ask(machine, "shell"), "refused");
    machine.run("systemctl restart phpX.Y-fpm");
    wait_until("the servers", || ask(machine, "hello") == "hello");
    assert_eq!(ask(machine, "shell"), "refused");
    let said = machine.run("journalctl -u phpX.Y-fpm -o cat");
    assert!(
        said.contains("has changed since it was applied; `portcullis apply` checks it and puts it in force"),
        "{said}"
    );
    let status = machine.try_run("portcullis status");
    assert!(String::from_utf8_lossy(&status.stdout).contains("portcullis apply"), "{status:?}");
}

/// The log file is rotated, and nothing is lost.
fn rotates(machine: &Machine) {
    machine.run("sed -i 's/\\[\"journald\"\\]/[\"journald\", \"file\"]/' /etc/portcullis/portcullis.toml && systemctl reload phpX.Y-fpm");
    let lines = |arguments: &str| {
        machine
            .run(&format!("portcullis events --json {arguments} /var/log/portcullis/events.jsonl 2>/dev/null | wc -l"))
            .trim()
            .parse::<usize>()
            .expect("a number")
    };
    wait_until("the file", || {
        ask(machine, "shell");
        lines("") > 0
    });
    let before = lines("");
    // Nothing in it can be taken back.
    let said = machine.run("portcullis install phpX.Y-fpm");
    assert!(said.contains("/var/log/portcullis/events.jsonl: append-only"), "{said}");
    let is_kept = || {
        let found = machine
            .run("stat -c '%a %U %G' /var/log/portcullis/events.jsonl && lsattr /var/log/portcullis/events.jsonl");
        assert!(found.starts_with("620 root www-data\n-----a"), "{found}");
        assert_eq!(ask(machine, "spoil"), "whole");
    };
    is_kept();
    machine.run("logrotate -f /etc/logrotate.d/portcullis");
    is_kept();
    let rotated = machine.run("stat -c '%a %U %G' /var/log/portcullis/events.jsonl.1");
    assert_eq!(rotated, "640 root adm\n");
    ask(machine, "shell");
    wait_until("the new file", || lines("") == 1);
    machine.run("logrotate -f /etc/logrotate.d/portcullis && stat -c '%a %U %G' /var/log/portcullis/events.jsonl.2.gz | grep -x '640 root adm'");
    ask(machine, "shell");
    wait_until("every event", || lines("--rotated") == before + 2);
}

/// A newer package is installed while the server serves; no request fails, and the configuration stays.
fn is_upgraded(machine: &Machine) {
    machine.run(
        "cd /root && dpkg-deb -R /packages/portcullis_*.deb p && sed -i 's/^Version: .*/Version: 99-1/' p/DEBIAN/control && \
         dpkg-deb --root-owner-group -b p portcullis-99.deb > /dev/null && for name in libapache2-mod-portcullis libnginx-mod-http-portcullis; do \
         dpkg-deb -R /packages/${name}_*.deb $name && sed -i 's/^Version: .*/Version: 99-1/; s/portcullis (= [^)]*)/portcullis (= 99-1)/' $name/DEBIAN/control && \
         dpkg-deb --root-owner-group -b $name $name-99.deb > /dev/null; done",
    );
    machine.run(
        "(while [ ! -e /root/stop ]; do curl -sSf --max-time 20 'http://127.0.0.1/act.php?do=command' >> /root/answers 2>&1 || echo FAILED >> /root/answers; done) & \
         dpkg --force-confold -i /root/*-99.deb; touch /root/stop; wait",
    );
    let answers = machine.run("sort /root/answers | uniq -c");
    assert!(answers.trim().ends_with("www-data") && answers.lines().count() == 1, "{answers}");
    assert!(
        machine.run("cat /etc/portcullis/portcullis.toml").contains("\"file\""),
        "the configuration is the administrator's"
    );
    machine.run("systemctl restart apache2 nginx phpX.Y-fpm");
    wait_until("the servers", || machine.try_run("portcullis status").status.success());
}
