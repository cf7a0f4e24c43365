//! What the tests share: a network and mount namespace of their own, servers, requests, events.

mod apache;
mod events;
mod fpm;
pub mod http;
mod namespace;
mod nginx;
mod process;

pub use apache::{Apache, Kind};
pub use events::{Events, Parts};
pub use fpm::{Fpm, Pool};
pub use namespace::{INSIDE, Listeners, OUTSIDE4, enter, own_run_and_dev};
pub use nginx::Nginx;
pub use process::{Guard, Process, wait_until};

use std::path::{Path, PathBuf};

/// The folder with the built library and command.
pub fn built() -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    let target = own.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
    let release = target.join("release");
    assert!(release.join("libportcullis.so").exists(), "build first: cargo build --release --workspace");
    release
}

/// The `portcullis` command.
pub fn portcullis() -> std::process::Command {
    std::process::Command::new(built().join("portcullis"))
}

/// A folder of the test, readable by every user, removed at its end.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new().prefix("portcullis-test-").tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        Place { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into the folder, making the folders on the way.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Puts the pages of the tests into `www/`.
    pub fn pages(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let www = self.join("www");
        std::fs::create_dir_all(&www).expect("a folder");
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/pages");
        for page in std::fs::read_dir(pages).expect("pages") {
            let page = page.expect("a page").path();
            let copy = www.join(page.file_name().expect("a name"));
            std::fs::copy(&page, &copy).expect("a copy");
            let mode = if copy.extension().is_some_and(|extension| extension == "cgi") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).expect("permissions");
        }
        www
    }

    /// A guard whose events go to a file in this folder, with `rest` as the rest of its configuration.
    pub fn guard(&self, rest: &str) -> Guard {
        let log = self.join("log/events.jsonl");
        let text = format!("{rest}\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display());
        Guard::new(self.write("etc/portcullis.toml", &text), log)
    }
}
