//! The recipes, on the real applications: without the recipe's policy nothing of theirs is missing from the events; with
//! it they work in enforce, and an intrusion does not.

use crate::docs::blocks;
use crate::machine::{Machine, wait_until};

/// Puts the recipe of an application in force.
fn follow(machine: &Machine, name: &str) {
    let recipe = &blocks(&format!("docs/recipes/{name}.md"), "toml")[0];
    machine.run(&format!("cat > /etc/portcullis/vhosts.d/{name}.toml <<'TOML'\n{recipe}TOML"));
    machine.run("portcullis check && systemctl restart php8.2-fpm");
    wait_until("PHP-FPM", || machine.try_run("portcullis status").status.success());
}

fn set_up(name: &str) -> Machine {
    let machine = Machine::boot_on("applications");
    machine.run("dpkg -i /packages/portcullis_*.deb && mkdir -p /etc/portcullis/vhosts.d && portcullis install nginx php8.2-fpm --now");
    apply(&machine, name, "setup");
    machine
}

fn apply(machine: &Machine, name: &str, how: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/recipes");
    let script = std::fs::read_to_string(format!("{folder}/{name}.sh")).expect("a script");
    machine.run(&format!("cat > /root/{name}.sh <<'END_OF_SCRIPT'\n{script}END_OF_SCRIPT\nbash /root/{name}.sh {how}"));
}

#[test]
fn wordpress() {
    let machine = set_up("wordpress");
    let events = machine.events();
    assert!(events.is_empty(), "it does nothing that is an event: {events:#?}");
    assert!(
        machine.run("cat /tmp/systemd-private-*/tmp/mails /tmp/mails 2>/dev/null || true").contains("-t -i"),
        "mail was sent"
    );
    follow(&machine, "wordpress");
    apply(&machine, "wordpress", "again");
    assert!(machine.events().is_empty());
    // A web shell among the uploads.
    machine.run("cp /var/www/html/act.php /var/lib/wordpress/wp-content/uploads/");
    let answer = machine.run("curl -sS 'http://blog.example/wp-content/uploads/act.php?do=shell'");
    assert_eq!(answer, "refused");
    wait_until("the event", || !machine.events().is_empty());
    let event = &machine.events()[0];
    assert_eq!((&event["portcullis"]["vhost"], &event["event"]["outcome"]), (&"wordpress".into(), &"failure".into()));
    assert_eq!(event["portcullis"]["request"]["script"], "/var/lib/wordpress/wp-content/uploads/act.php");
}

#[test]
fn roundcube() {
    let machine = set_up("roundcube");
    wait_until("the events", || !machine.events().is_empty());
    let proposed = machine.run("portcullis learn --include-rare");
    assert!(proposed.contains("\"mail.example:143\""), "{proposed}");
    follow(&machine, "roundcube");
    let before = machine.events().len();
    apply(&machine, "roundcube", "again");
    assert_eq!(machine.events().len(), before, "the recipe allows all of it");
    machine.run(
        "sed -i 's/\"mail.example:143\", //' /etc/portcullis/vhosts.d/roundcube.toml && systemctl restart php8.2-fpm",
    );
    let refused = machine.try_run("bash /root/roundcube.sh again");
    assert!(!refused.status.success(), "and nothing else");
}
