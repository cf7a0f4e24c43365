//! Reads configurations that somebody else made: what is no file, what has no end, and what only its owner may read.
#![allow(clippy::disallowed_methods)]

use portcullis_config::load;

#[test]
fn what_is_no_file_is_an_error_and_nothing_waits_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("vhosts.d")).expect("a folder");
    std::fs::write(at("portcullis.toml"), "mode = \"audit\"\n").expect("a file");
    assert!(std::process::Command::new("mkfifo").arg(at("vhosts.d/a.toml")).status().expect("mkfifo").success());
    let large = std::fs::File::create(at("vhosts.d/b.toml")).expect("a file");
    large.set_len(1 << 40).expect("a sparse file");
    let _socket = std::os::unix::net::UnixListener::bind(at("vhosts.d/c.toml")).expect("a socket");
    let loaded = load(&at("portcullis.toml"));
    let said: Vec<String> = loaded.diagnostics.iter().map(|one| one.render(false)).collect();
    let said = said.join("\n");
    for part in
        ["a.toml: cannot be read: it is a FIFO", "b.toml: cannot be read: it is larger", "c.toml: cannot be read"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!loaded.usable());
}

#[test]
fn what_only_its_owner_may_read_can_be_left_out() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portcullis.toml");
    for (text, quoted) in [("root:$y$secret:20000\n", "secret"), ("pa55 = 1\nmode = \"pa55\"\n", "pa55")] {
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        std::fs::write(&path, text).expect("a file");
        set(0o600);
        let loaded = load(&path);
        assert!(loaded.diagnostics.iter().any(|one| one.render(false).contains(quoted)), "{text}");
        for one in &loaded.diagnostics {
            assert!(one.is_private);
            let shown = one.without_text().render(false);
            assert!(!shown.contains(quoted) && shown.contains("line ") && shown.contains("column "), "{shown}");
        }
        set(0o644);
        assert!(load(&path).diagnostics.iter().all(|one| !one.is_private));
    }
}
