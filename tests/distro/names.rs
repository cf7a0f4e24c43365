//! The names of this release of the distribution, by scripts/distro. The tests write `X.Y` for the version of PHP: phpX.Y-fpm. A name
//! that nobody filled in fails on every release.

use std::process::Command;
use std::sync::LazyLock;

const WRITTEN: &str = "X.Y";

static PHP: LazyLock<String> = LazyLock::new(|| of_release("php"));

/// What scripts/distro says of this release.
pub fn of_release(name: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/distro");
    let done = Command::new(script).arg(name).output().expect("scripts/distro");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text").trim().to_owned()
}

/// `text` with the names that PHP has in this release: of phpX.Y, php-fpmX.Y, /etc/php/X.Y/.
pub fn named(text: &str) -> String {
    replaced(text, WRITTEN, &PHP)
}

/// What a machine of this release printed, as the tests write it.
#[allow(dead_code, reason = "not every program of tests boots machines")]
pub fn written(printed: &[u8]) -> Vec<u8> {
    replaced(&String::from_utf8_lossy(printed), &PHP, WRITTEN).into_bytes()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut text = text.to_owned();
    for before in ["php", "php-fpm", "php-cgi", "php/", "-php"] {
        text = text.replace(&format!("{before}{from}"), &format!("{before}{to}"));
    }
    text
}
