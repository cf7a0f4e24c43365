//! The names of this release of Debian, by scripts/distro. The tests write those of Debian 12.

use std::process::Command;
use std::sync::LazyLock;

const WRITTEN: &str = "8.2";

static PHP: LazyLock<String> = LazyLock::new(|| {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/distro");
    let done = Command::new(script).arg("php").output().expect("scripts/distro");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text").trim().to_owned()
});

/// `text` with the names that PHP has in this release, in the place of Debian 12's: php8.2, php-fpm8.2, /etc/php/8.2/.
pub fn named(text: &str) -> String {
    replaced(text, WRITTEN, &PHP)
}

/// What a machine of this release printed, with Debian 12's names.
#[allow(dead_code, reason = "not every program of tests boots machines")]
pub fn written(printed: &[u8]) -> Vec<u8> {
    if *PHP == WRITTEN {
        return printed.to_vec();
    }
    replaced(&String::from_utf8_lossy(printed), &PHP, WRITTEN).into_bytes()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut text = text.to_owned();
    for before in ["php", "php-fpm", "php-cgi", "php/", "-php"] {
        text = text.replace(&format!("{before}{from}"), &format!("{before}{to}"));
    }
    text
}
