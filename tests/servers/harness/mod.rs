//! What the tests share: a network and mount namespace of their own, servers, requests, events.

mod apache;
mod browser;
#[path = "../../distro/names.rs"]
mod distro;
pub mod events;
mod fpm;
pub mod http;
mod journal;
mod namespace;
mod nginx;
mod process;
mod root;

pub use apache::{Apache, Kind};
pub use browser::Browser;
pub use distro::named;
pub use events::{Events, Parts, calls};
pub use fpm::{Fpm, Pool};
pub use journal::{from_journal, journald};
pub use namespace::{INSIDE, Listeners, OUTSIDE4, enter, own_run_and_dev};
pub use nginx::Nginx;
pub use process::{Guard, Process, children, wait_until};
pub use root::own_root;

use portcullis_policy::Rule;
use std::path::{Path, PathBuf};

/// A configuration in which every rule has this mode.
pub fn every_rule(mode: &str) -> String {
    // A global mode does not change the others.
    let others = Rule::ALL.into_iter().filter(|rule| !rule.is_at_top());
    let rules: String = others.map(|rule| format!("[rules.{}]\nmode = \"{mode}\"\n", rule.word())).collect();
    format!("mode = \"{mode}\"\n{rules}")
}

/// The folder with the built library and command.
pub fn built() -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    let target = own.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
    let release = target.join("release");
    assert!(release.join("libportcullis.so").exists(), "build first: cargo build --release --workspace");
    release
}

/// A folder of the test, readable by every user, with the built library and command in it; removed at its end.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        use std::os::unix::fs::PermissionsExt;
        // Also of a test that needs no network of its own.
        if !Path::new(root::LAYERS).exists() {
            own_root(&[]);
        }
        // Not in /tmp, which is no place for programs.
        let folder = tempfile::Builder::new().prefix("portcullis-test-").tempdir_in("/srv").expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        // Workers without privileges may not reach the folder of the build.
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        for name in ["libportcullis.so", "portcullis"] {
            std::fs::copy(built().join(name), bin.join(name)).expect("a copy");
        }
        Place { folder }
    }

    /// The library.
    pub fn library(&self) -> PathBuf {
        self.join("bin/libportcullis.so")
    }

    /// The library as valgrind can read it: up to 3.19 it gives up on a file with a segment that has no bytes in the file, as
    /// the library's zeros have none. In this copy that segment has its first eight zeros there.
    pub fn library_for_valgrind(&self) -> PathBuf {
        use object::elf::{FileHeader64, PT_LOAD, ProgramHeader64};
        use object::endian::LittleEndian;
        use object::read::elf::{FileHeader, ProgramHeader};
        let path = self.join("valgrind/libportcullis.so");
        if path.exists() {
            return path;
        }
        let mut bytes = std::fs::read(self.library()).expect("the library");
        let header = FileHeader64::<LittleEndian>::parse(&*bytes).expect("an ELF file");
        let first = header.e_phoff(LittleEndian) as usize;
        let segments = header.program_headers(LittleEndian, &*bytes).expect("segments");
        let zeros = segments
            .iter()
            .position(|segment| segment.p_type(LittleEndian) == PT_LOAD && segment.p_filesz(LittleEndian) == 0);
        if let Some(number) = zeros {
            let zeros_at = segments[number].p_offset(LittleEndian) as usize;
            let size_at = first
                + number * size_of::<ProgramHeader64<LittleEndian>>()
                + std::mem::offset_of!(ProgramHeader64<LittleEndian>, p_filesz);
            bytes[zeros_at..zeros_at + 8].fill(0);
            bytes[size_at..size_at + 8].copy_from_slice(&8_u64.to_le_bytes());
        }
        std::fs::create_dir(self.join("valgrind")).expect("a folder");
        std::fs::write(&path, bytes).expect("a copy");
        path
    }

    /// The `portcullis` command.
    pub fn portcullis(&self) -> std::process::Command {
        std::process::Command::new(self.join("bin/portcullis"))
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
        self.guard_with(rest, "")
    }

    /// The same that writes every event.
    pub fn guard_of_every_event(&self, rest: &str) -> Guard {
        self.guard_with(rest, "merge = false\n")
    }

    fn guard_with(&self, rest: &str, more: &str) -> Guard {
        let log = self.join("log/events.jsonl");
        let text = format!("{rest}\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n{more}", log.display());
        Guard::new(self, self.write("etc/portcullis.toml", &text), log)
    }
}
