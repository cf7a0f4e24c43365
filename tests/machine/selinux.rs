//! The SELinux module of packaging/selinux/: checkmodule compiles it, and the package has its rules and file contexts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn compiled(script: &Path, to: &Path) -> Output {
    Command::new(script).arg(to).output().expect("bash")
}

#[test]
fn the_module_is_compiled() {
    let place = tempfile::tempdir().expect("a folder");
    let [package, module, contexts] =
        ["portcullis.pp", "portcullis.mod", "portcullis.fc"].map(|name| place.path().join(name));
    let done = compiled(&root().join("scripts/selinux"), &package);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let done =
        Command::new("semodule_unpackage").args([&package, &module, &contexts]).output().expect("semodule-utils");
    assert!(done.status.success(), "{done:?}");
    // Each directory that the rules of tmpfiles and logrotate name, and each line with a context of the known form.
    let text = std::fs::read_to_string(&contexts).expect("contexts");
    for directory in ["/run/portcullis(/.*)?", "/var/log/portcullis(/.*)?"] {
        let line = text.lines().find(|line| line.split('\t').next() == Some(directory)).expect(directory);
        assert!(line.ends_with("_t:s0") && line.contains("\tsystem_u:object_r:httpd_"), "{line}");
    }
    let bytes = std::fs::read(&module).expect("a module");
    for word in ["portcullis", "init_t", "httpd_t", "httpd_sys_script_t", "noatsecure", "map"] {
        assert!(bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
}

/// The same script, of a source with an error, says so and leaves no file.
#[test]
fn an_error_in_the_module_is_one_of_the_script() {
    let place = tempfile::tempdir().expect("a folder");
    for folder in ["scripts", "packaging/selinux"] {
        std::fs::create_dir_all(place.path().join(folder)).expect("a folder");
    }
    for file in ["scripts/selinux", "packaging/selinux/portcullis.te", "packaging/selinux/portcullis.fc"] {
        std::fs::copy(root().join(file), place.path().join(file)).expect("a copy");
    }
    let source = place.path().join("packaging/selinux/portcullis.te");
    let text = std::fs::read_to_string(&source).expect("a source");
    // A type that the module does not require.
    std::fs::write(&source, text.replace("\ttype httpd_t;\n", "")).expect("a source");
    let to = place.path().join("portcullis.pp");
    let done = compiled(&place.path().join("scripts/selinux"), &to);
    assert!(!done.status.success() && String::from_utf8_lossy(&done.stderr).contains("httpd_t"), "{done:?}");
    assert!(!to.exists());
}
