//! What an administrator is told when the package is installed or upgraded.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A folder with the tools that the scripts run.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    // As the packages leave it, whose configuration is a file of theirs.
    std::fs::create_dir_all(root.path().join("etc/portcullis")).expect("a folder");
    std::os::unix::fs::symlink("/bin/mkdir", root.path().join("mkdir")).expect("a link");
    for tool in ["portcullis", "systemd-tmpfiles"] {
        let path = root.path().join(tool);
        std::fs::write(&path, "#!/bin/sh\n").expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    root
}

#[test]
fn the_package_says_what_to_do_next() {
    let root = root();
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/debian/postinst"));
    says_what_to_do_next(root.path(), &script.expect("the script"), &["configure"], ["", "0.1.0-1"]);
}

/// The same of the .rpm, whose script is in its spec.
#[test]
fn the_rpm_says_what_to_do_next() {
    let root = root();
    let spec = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/portcullis.spec"));
    let spec = spec.expect("the spec");
    let script = spec.split("\n%post\n").nth(1).and_then(|rest| rest.split("\n%").next()).expect("a script");
    // rpm writes a percent sign as two.
    let script = script.replace("%%", "%").replace(" /etc/", &format!(" {}/etc/", root.path().display()));
    says_what_to_do_next(root.path(), &script, &[], ["1", "2"]);
}

/// `formers`: the argument of a first installation, and that of an upgrade.
fn says_what_to_do_next(root: &Path, script: &str, arguments: &[&str], formers: [&str; 2]) {
    let said = |former: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "postinst"]).args(arguments).arg(former);
        let done = command.env("DPKG_ROOT", root).env("PATH", root).output().expect("the script");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
    };
    let folder = root.join("etc/portcullis/vhosts.d");
    for former in formers {
        assert!(said(former).contains("Next: portcullis install UNIT --dry-run"), "{}", said(former));
    }
    // The folder that the configuration and the documentation name; what is in it stays.
    let mode = |path: &Path| std::fs::metadata(path).expect("a folder").permissions().mode();
    assert_eq!(mode(&folder), mode(&root.join("etc/portcullis")));
    std::fs::write(folder.join("shop.toml"), "").expect("a file");
    for unit in ["nginx", "php8.2-fpm"] {
        let folder = root.join(format!("etc/systemd/system/{unit}.service.d"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("portcullis.conf"), "").expect("a file");
    }
    for former in formers {
        assert!(
            said(former).contains("to use the new version: systemctl restart nginx php8.2-fpm\n"),
            "{}",
            said(former)
        );
    }
    assert!(folder.join("shop.toml").exists());
}
