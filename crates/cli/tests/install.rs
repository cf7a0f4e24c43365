//! `install` and `uninstall` of several units: what cannot be done for one of them is found before anything is changed, or is undone.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A system with two units, and a file that stands in for the library.
struct Image(tempfile::TempDir);

impl Image {
    fn new() -> Image {
        let image = Image(tempfile::tempdir().expect("a folder"));
        let folder = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let libc = ["/lib64", "/lib", &format!("/{folder}")].map(|folder| Path::new(folder).join("libc.so.6"));
        let libc = libc.iter().find(|path| path.exists()).expect("a libc");
        image.write(&format!("{folder}/libportcullis.so"), "");
        image.write("usr/lib64/libportcullis.so", "");
        for folder in [folder.as_str(), "usr/lib64"] {
            std::fs::copy(libc, image.at(folder).join("libportcullis.so")).expect("a stand-in for the library");
        }
        for unit in ["apache2", "nginx"] {
            image.write(
                &format!("usr/lib/systemd/system/{unit}.service"),
                &format!("[Service]\nExecStart=/usr/sbin/{unit}\n"),
            );
        }
        std::fs::create_dir_all(image.at("etc/systemd/system")).expect("a folder");
        image
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.at(path).parent().expect("a folder")).expect("a folder");
        std::fs::write(self.at(path), text).expect("a file");
    }

    /// The exit status, and what is said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = command.args(arguments).arg("--root").arg(self.0.path()).output().expect("portcullis");
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        (done.status.code().expect("a status"), said)
    }

    /// Everything in /etc, with its text or where it leads.
    fn etc(&self) -> BTreeMap<PathBuf, String> {
        fn walk(folder: &Path, out: &mut BTreeMap<PathBuf, String>) {
            for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let text = match (std::fs::read_link(&path), path.is_dir()) {
                    (Ok(to), _) => format!("to {}", to.display()),
                    (_, true) => "a folder".to_owned(),
                    _ => std::fs::read_to_string(&path).expect("a file"),
                };
                walk(&path, out);
                out.insert(path, text);
            }
        }
        let mut out = BTreeMap::new();
        walk(&self.at("etc"), &mut out);
        out
    }
}

const MODULES: [(&str, &str, &str); 2] = [
    ("apache2", "etc/apache2/mods-available/portcullis.load", "libapache2-mod-portcullis"),
    ("nginx", "usr/share/nginx/modules-available/mod-http-portcullis.conf", "libnginx-mod-http-portcullis"),
];

/// Whatever the order of the units, and whichever module is there.
#[test]
fn a_module_that_is_not_there_is_found_first() {
    for (has, lacks) in [(MODULES[0], MODULES[1]), (MODULES[1], MODULES[0])] {
        for units in [[has.0, lacks.0], [lacks.0, has.0]] {
            for more in [&[][..], &["--dry-run"]] {
                let image = Image::new();
                image.write(has.1, "");
                image.write("etc/apache2/mods-enabled/x", "");
                image.write("etc/nginx/modules-enabled/x", "");
                let before = image.etc();
                let (code, said) = image.run(&[&["install", units[0], units[1], "--module"], more].concat());
                assert!(code == 1 && said.contains(lacks.2) && said.contains("nothing was changed"), "{said}");
                assert_eq!(image.etc(), before, "{units:?}: {said}");
                image.write(lacks.1, "");
                let (code, said) = image.run(&[&["install", units[0], units[1], "--module"], more].concat());
                assert_eq!(code, 0, "{said}");
                assert_eq!(said.matches(": enabled").count(), 2, "{said}");
            }
        }
    }
}

/// What fails in the middle takes back what was done before.
#[test]
fn what_fails_in_the_middle_is_undone() {
    let image = Image::new();
    for module in MODULES {
        image.write(module.1, "");
    }
    image.write("etc/apache2/mods-enabled/x", "");
    // No folder for the link of the second unit's module.
    image.write("etc/nginx/modules-enabled", "");
    let before = image.etc();
    let (code, said) = image.run(&["install", "apache2", "nginx", "--module"]);
    assert!(code == 1 && said.contains("the changes above were undone"), "{said}");
    assert_eq!(image.etc(), before, "{said}");
    // Nor for its drop-in.
    image.write("etc/systemd/system/nginx.service.d", "");
    let before = image.etc();
    let (code, said) = image.run(&["install", "apache2", "nginx"]);
    assert!(code == 1 && said.contains("the changes above were undone"), "{said}");
    assert_eq!(image.etc(), before, "{said}");

    std::fs::remove_file(image.at("etc/systemd/system/nginx.service.d")).expect("removed");
    std::fs::remove_file(image.at("etc/nginx/modules-enabled")).expect("removed");
    image.write("etc/nginx/modules-enabled/x", "");
    let (code, said) = image.run(&["install", "apache2", "nginx", "--module"]);
    assert_eq!(code, 0, "{said}");
    // What is no link, and no file either.
    let link = image.at("etc/nginx/modules-enabled/50-mod-http-portcullis.conf");
    std::fs::remove_file(&link).expect("removed");
    std::fs::create_dir(&link).expect("a folder");
    let before = image.etc();
    let (code, said) = image.run(&["uninstall"]);
    assert!(code == 1 && said.contains("the changes above were undone"), "{said}");
    assert_eq!(image.etc(), before, "{said}");
    std::fs::remove_dir(&link).expect("removed");
    let (code, said) = image.run(&["uninstall"]);
    assert!(code == 0 && !image.etc().keys().any(|path| path.ends_with("portcullis.conf")), "{said}");
}
