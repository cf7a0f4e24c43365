//! An intrusion by a page, contained by one command: with systemd, Debian's nginx and PHP-FPM, and the kernel's control groups.

use crate::machine::{Machine, wait_until};
use serde_json::Value;

/// A second site beside that of the tests.
const SITES: &str = r"
mkdir -p /srv/blog
cp /var/www/html/act.php /srv/blog/
cat > /etc/nginx/sites-enabled/blog <<'NGINX'
server { listen 127.0.0.1:8088; root /srv/blog; location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/phpX.Y-fpm.sock; } }
NGINX
mkdir -p /srv/shop
cp /var/www/html/act.php /srv/shop/
cat > /srv/shop/upd.php <<'PHP'
<?php
exec('sh -c \'while :; do echo x >> /tmp/beat; sleep 0.1; done\' > /dev/null 2>&1 & :');
echo 'started';
PHP
cat > /etc/nginx/sites-enabled/shop <<'NGINX'
server { listen 127.0.0.1:8089; root /srv/shop; location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/phpX.Y-fpm.sock; } }
NGINX
systemctl reload nginx
";

fn ask(machine: &Machine, port: u16, page: &str) -> String {
    machine.run(&format!("curl -sS --max-time 20 'http://127.0.0.1:{port}/{page}'"))
}

/// The first incident of the journal.
fn incident(machine: &Machine) -> Value {
    machine.json("portcullis events --incidents --json | head -n 1")
}

#[test]
fn an_intrusion_is_contained_frozen_and_undone() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb && portcullis install phpX.Y-fpm nginx --now");
    machine.run(SITES);
    let user = machine.run("id -un www-data");
    let shell = "act.php?do=shell";
    assert_eq!((ask(&machine, 8089, "upd.php"), ask(&machine, 8089, shell)), ("started".into(), user.clone()));
    wait_until("the events", || machine.events().len() >= 2);
    let before = machine.run("cd /etc && find portcullis -type f -exec sha256sum {} + | sort");
    let found = incident(&machine);
    let id = found["id"].as_str().expect("an incident").to_owned();

    let done = machine.try_run(&format!("portcullis contain --incident {id} --yes --evidence /root/incident"));
    let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr].concat()).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("The site is contained.") && said.contains("phpX.Y-fpm.service: "), "{said}");
    assert_eq!(ask(&machine, 8089, shell), "refused");
    machine.run("cd /root/incident && sha256sum --check --quiet SHA256SUMS && grep -q 'exec(' scripts/* && test -s journal.export");

    // What it started still runs, is listed, and freezes by the commands that are printed.
    let again = machine.json(&format!("portcullis contain --incident {id} --yes --json"));
    assert_eq!(again["state"], "contained already", "{again:#}");
    assert!(!again["running"]["processes"].as_array().expect("a list").is_empty(), "{again:#}");
    // The other sites start their shells. From then on they are parts of the incident, for the client is the same.
    assert_eq!((ask(&machine, 8088, shell), ask(&machine, 80, shell)), (user.clone(), user.clone()));
    let commands = |what: &str| {
        let parts = again["running"]["commands"].as_array().expect("commands");
        let part = parts.iter().find(|part| part["what"].as_str().is_some_and(|text| text.contains(what)));
        let lines = part.unwrap_or_else(|| panic!("{what}: {again:#}"))["commands"].as_array().expect("lines").clone();
        lines.iter().map(|line| format!("{}\n", line.as_str().expect("a line"))).collect::<String>()
    };
    let size = || machine.run("stat -c %s /tmp/beat || stat -c %s /tmp/systemd-private-*/tmp/beat");
    let beats = || {
        let first = size();
        machine.run("sleep 1");
        size() != first
    };
    assert!(beats(), "it runs");
    machine.run(&commands("To freeze them"));
    wait_until("the freeze", || machine.run("cat /sys/fs/cgroup/portcullis-*/cgroup.events").contains("frozen 1"));
    assert!(!beats(), "it is frozen");
    assert_eq!(ask(&machine, 8088, "act.php"), "hello", "the server goes on");
    machine.run(&commands("To end them"));
    wait_until("the end", || machine.run("cat /sys/fs/cgroup/portcullis-*/cgroup.events").contains("populated 0"));

    machine.run(&format!("portcullis contain --undo {id} --yes"));
    assert_eq!(machine.run("cd /etc && find portcullis -type f -exec sha256sum {} + | sort"), before);
    assert_eq!(ask(&machine, 8089, shell), user);
    assert!(machine.run("portcullis contain --list").contains("No containment can be undone."));
}

/// What keeps a site from being contained is said, and nothing is left half done.
#[test]
fn what_cannot_be_contained_is_said_and_changes_nothing() {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb && portcullis install phpX.Y-fpm nginx --now");
    let contain = "portcullis contain --document-root /var/www/html --yes";
    let files =
        || machine.run("cd /etc && find portcullis -exec sha256sum {} + 2> /dev/null | sort; ls -R /etc/portcullis");
    let before = files();
    let refused = |what: &str| {
        let done = machine.try_run(contain);
        let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr].concat()).into_owned();
        assert_eq!(done.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(what), "{what}: {said}");
        said
    };
    machine.run("portcullis panic");
    refused("override = \"audit\"");
    machine.run("portcullis panic --undo");
    assert_eq!(files(), before);

    machine.run("mount --bind -o ro /etc/portcullis /etc/portcullis && mount -o remount,bind,ro /etc/portcullis");
    refused("every file is as it was before");
    machine.run("umount /etc/portcullis");
    assert_eq!(files(), before);
    assert!(machine.run("portcullis contain --list").contains("No containment"));

    // A unit whose reload fails keeps the former policy: it is named, and the files stay, for a restart takes them.
    machine.run("mkdir -p /etc/systemd/system/phpX.Y-fpm.service.d && printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' > /etc/systemd/system/phpX.Y-fpm.service.d/override.conf && systemctl daemon-reload");
    let said = refused("phpX.Y-fpm.service");
    assert!(
        said.contains("not contained as a whole") && said.contains("systemctl restart phpX.Y-fpm.service"),
        "{said}"
    );
    assert_ne!(ask(&machine, 80, "act.php?do=shell"), "refused");
    machine.run("systemctl restart phpX.Y-fpm");
    assert_eq!(ask(&machine, 80, "act.php?do=shell"), "refused");
    machine.run(&format!(
        "rm /etc/systemd/system/phpX.Y-fpm.service.d/override.conf && systemctl daemon-reload && {contain}"
    ));
    let id = machine.json("portcullis contain --list --json")[0]["id"].as_str().expect("an identifier").to_owned();
    machine.run(&format!("portcullis contain --undo {id} --yes"));
    assert_eq!(files(), before);
}
