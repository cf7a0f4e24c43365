//! What a new user sees on a machine with ten virtual hosts: installation, an ordinary day, an intrusion on one of them, what `learn` makes
//! of both, enforce, the intrusion again, and the kill switch.

use crate::machine::{Machine, wait_until};

/// The virtual hosts: shop0 to shop9.
const HOSTS: usize = 10;
/// The one with the intruder's page, and the first that is enforced.
const VICTIM: usize = 3;

/// Ten sites of one page, each of which asks its own service of an uncommon port and runs a program through a shell.
const SITES: &str = r#"
for number in 0 1 2 3 4 5 6 7 8 9; do
    mkdir -p /srv/shop$number
    cat > /srv/shop$number/index.php <<'PHP'
<?php
$client = @fsockopen('stock.example', 6800, $number, $message, 5);
echo $client ? fgets($client) : 'no stock', shell_exec("/usr/bin/stat -c '%s' " . escapeshellarg(__DIR__)) ?: 'no size';
PHP
    printf 'server { listen 80; server_name shop%s.example; root /srv/shop%s; index index.php; location ~ \\.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/phpX.Y-fpm.sock; } }\n' $number $number
    echo "192.88.1.10 shop$number.example" >> /etc/hosts
done > /etc/nginx/sites-enabled/shops
echo '192.88.1.10 stock.example' >> /etc/hosts
printf '[Socket]\nListenStream=192.88.1.10:6800\nAccept=yes\n' > /run/systemd/system/stock.socket
printf '[Service]\nExecStart=/bin/echo in stock\nStandardOutput=socket\n' > /run/systemd/system/stock@.service
systemctl daemon-reload && systemctl start stock.socket && systemctl restart nginx
"#;

/// The addresses of two visitors and of an intruder.
const CLIENTS: [&str; 3] = ["192.88.1.21", "192.88.1.22", "192.88.1.66"];

fn ask(machine: &Machine, client: &str, host: usize, path: &str) -> String {
    machine.run(&format!("curl -sS --max-time 20 --interface {client} 'http://shop{host}.example/{path}'"))
}

/// Every site answers two visitors.
fn ordinary_day(machine: &Machine) {
    for client in &CLIENTS[..2] {
        for host in 0..HOSTS {
            let answer = ask(machine, client, host, "");
            let is_whole = answer.starts_with("in stock\n") && answer.trim_end().ends_with(char::is_numeric);
            assert!(is_whole, "{host}: {answer}");
        }
    }
}

/// What the page of an intruder answers: to a command, and to a connection.
fn intrusion(machine: &Machine) -> [String; 2] {
    ["shell", "connect"].map(|what| ask(machine, CLIENTS[2], VICTIM, &format!("uploads/act.php?do={what}")))
}

fn of_intruder(machine: &Machine, outcome: &str) -> usize {
    let events = machine.events();
    let is_one = |event: &&serde_json::Value| {
        let script = event["portcullis"]["request"]["script"].as_str().unwrap_or_default();
        script.ends_with("/uploads/act.php") && event["event"]["outcome"] == outcome
    };
    events.iter().filter(is_one).count()
}

#[test]
fn from_installation_to_enforce_and_back() {
    let machine = Machine::boot();
    for client in CLIENTS {
        machine.run(&format!("ip address add {client}/32 dev lo"));
    }
    machine.run(SITES);
    machine.run("dpkg -i /packages/portcullis_*.deb && mkdir -p /etc/portcullis/vhosts.d");
    for host in 0..HOSTS {
        machine.run(&format!(
            "printf 'name = \"shop{host}\"\\nmatch = {{ document_root = \"/srv/shop{host}\" }}\\n' > /etc/portcullis/vhosts.d/shop{host}.toml"
        ));
    }
    machine.run("portcullis check && portcullis install nginx phpX.Y-fpm --now");
    machine.run("portcullis status && portcullis doctor phpX.Y-fpm");
    ordinary_day(&machine);
    machine.run(&format!(
        "mkdir /srv/shop{VICTIM}/uploads && cp /var/www/html/act.php /srv/shop{VICTIM}/uploads/ && chown -R www-data /srv/shop{VICTIM}/uploads"
    ));
    assert_eq!(intrusion(&machine)[0], "www-data\n", "audit refuses nothing");
    wait_until("the intrusion's events", || of_intruder(&machine, "success") == 2);

    // The shops' own habits are proposed, ten times the same and so once for all; nothing of the intruder's.
    let said = machine.run("portcullis learn --include-rare --widen");
    let proposed: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with('"')).map(str::trim).collect();
    assert!(proposed.contains(&"\"stock.example:6800\","), "{said}");
    assert!(proposed.iter().any(|entry| entry.starts_with("\"/usr/bin/stat -c")), "{said}");
    assert!(!proposed.iter().any(|entry| entry.contains("4444") || entry.contains("/id")), "{said}");
    // The worker has looked this address up by the shop's name.
    assert!(said.contains("NOT proposed: stock.example:4444"), "{said}");
    machine.run("portcullis learn --include-rare --widen --write-all --yes");
    let checked = machine.run("portcullis check");
    assert!(checked.contains("0 errors, 0 warnings"), "{checked}");

    machine.run(&format!(
        "echo 'mode = \"enforce\"' >> /root/mode && sed -i '1r /root/mode' /etc/portcullis/vhosts.d/shop{VICTIM}.toml"
    ));
    machine.run("portcullis apply && portcullis status");
    ordinary_day(&machine);
    assert_eq!(intrusion(&machine)[0], "refused");
    wait_until("the refusals", || of_intruder(&machine, "failure") == 2);
    let failures =
        |machine: &Machine| machine.events().iter().filter(|event| event["event"]["outcome"] == "failure").count();
    assert_eq!(failures(&machine), 2, "of the intruder alone");

    // An outage: everything goes ahead, and afterwards nothing of it is forgotten.
    machine.run("portcullis panic");
    assert_eq!(intrusion(&machine)[0], "www-data\n");
    machine.run("portcullis panic --undo");
    assert_eq!(intrusion(&machine)[0], "refused");
    ordinary_day(&machine);
    wait_until("the refusals after it", || of_intruder(&machine, "failure") == 4);
    assert_eq!(failures(&machine), 4, "of the intruder alone");
}
