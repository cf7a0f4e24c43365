//! What an administrator is told when the package is installed or upgraded.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn the_package_says_what_to_do_next() {
    let root = tempfile::tempdir().expect("a folder");
    for tool in ["portcullis", "systemd-tmpfiles"] {
        let path = root.path().join(tool);
        std::fs::write(&path, "#!/bin/sh\n").expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/debian/postinst");
    let said = |former: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg(&script).args(["configure", former]).env("DPKG_ROOT", root.path()).env("PATH", root.path());
        let done = command.output().expect("the script");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    for former in ["", "0.1.0-1"] {
        assert!(said(former).contains("Next: portcullis install UNIT --dry-run"), "{}", said(former));
    }
    for unit in ["nginx", "php8.2-fpm"] {
        let folder = root.path().join(format!("etc/systemd/system/{unit}.service.d"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("portcullis.conf"), "").expect("a file");
    }
    for former in ["", "0.1.0-1"] {
        assert!(
            said(former).contains("to use the new version: systemctl restart nginx php8.2-fpm\n"),
            "{}",
            said(former)
        );
    }
}
