//! A container without systemd and without a journal: its entry point is what docs/deployment.md shows.

use crate::distro::named;
use crate::docs::blocks;
use crate::machine::{target, turn};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// What an image has beside the server: the package, its configuration, and here somebody who asks until he is answered.
const IMAGE: &str = "dpkg -i /packages/portcullis_*.deb > /dev/null
cat > /etc/portcullis/portcullis.toml <<'TOML'
CONFIGURATION
TOML
ip link set lo up
nginx
mkdir -p /run/php
(for try in $(seq 200); do
  curl -sSf --max-time 10 'http://127.0.0.1/act.php?do=shell' > /tmp/answer 2> /dev/null && break
  sleep 0.1
done
cat /tmp/answer
kill -QUIT $(cat /run/php/phpX.Y-fpm.pid)) &
# As images of PHP name it, and as the unit of Debian names its socket.
ln -s php-fpmX.Y /usr/sbin/php-fpm
ln -s phpX.Y-fpm.sock /run/php/php-fpm.sock
";

#[test]
fn every_entry_point_logs_to_the_containers_standard_error() {
    let configuration = blocks("docs/deployment.md", "toml");
    let configuration = configuration.iter().find(|block| block.contains("stderr")).expect("a configuration");
    let entries = blocks("docs/deployment.md", "sh entry-point");
    assert_eq!(entries.len(), 2);
    let _turn = turn();
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/pages");
    for entry in entries {
        let done = Command::new("timeout")
            .args(["60", "systemd-nspawn", "--register=no", "--keep-unit", "--private-network", "--quiet"])
            .args(["--as-pid2", "--console=pipe", "--volatile=overlay", "--machine=portcullis-container"])
            .arg(format!("--bind-ro={}:/packages", target().join("packages").display()))
            .arg(format!("--bind-ro={}:/var/www/html", pages.display()))
            .arg("--directory")
            .arg(target().join("machine/root"))
            .args(["/bin/sh", "-c", &format!("{}{entry}", named(IMAGE).replace("CONFIGURATION", configuration))])
            .stdin(Stdio::null())
            .output()
            .expect("systemd-nspawn");
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && out.contains("www-data"), "{entry}: {}\n{out}\n{err}", done.status);
        let events: Vec<Value> = err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(events.len(), 1, "{entry}\n{out}\n{err}");
        assert_eq!(events[0]["rule"]["id"], "shell-spawn");
        assert_eq!(events[0]["url"]["original"], "/act.php?do=shell");
    }
}
