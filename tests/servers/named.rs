//! What the event of a program says where not all of it is known.

use crate::harness::{Parts, Place, enter};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Runs a program while a link on its way leads now to one and now to another; ends with the first that was another than was judged.
const SWAPPED: &str = r#"
my ($folder, $tries) = @ARGV;
my $other = fork;
if (!$other) {
    for (my $turn = 0; ; $turn++) { symlink $turn % 2 ? '/usr/bin/true' : '/usr/bin/printf', "$folder/next"; rename "$folder/next", "$folder/program"; }
}
sleep 1 until -e "$folder/program";
for (1 .. $tries) {
    my $child = fork;
    if (!$child) { exec "$folder/program", 'one', 'two'; exit 1 }
    waitpid $child, 0;
}
kill 9, $other;
"#;

/// A program that is not the one that was judged is named by its own path, with its arguments.
#[test]
fn a_replaced_program_is_named() {
    enter();
    let place = Place::new();
    place.write("swap/.keep", "");
    let code = place.write("swapped.pl", SWAPPED);
    let config = place.write(
        "portcullis.toml",
        "[exec]\nmode = \"audit\"\n[rules.exec-tool]\nmode = \"off\"\n[log]\nsink = [\"stderr\"]\nmerge = false\n",
    );
    let mut found = Vec::new();
    for _ in 0..20 {
        let mut command = place.portcullis();
        command.args(["run", "--role", "serving", "--config"]).arg(&config).args(["--", "/usr/bin/perl"]);
        let done = command.arg(&code).arg(place.join("swap")).arg("200").output().expect("portcullis run");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        found.extend(said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
        // Before it starts, a program that is replaced again and again has no path but that by which it was called.
        let called = place.join("swap/program");
        found.retain(|event: &Value| {
            event.text("portcullis.unknown") == "replaced" && Some(event.text("process.executable")) != called.to_str()
        });
        if !found.is_empty() {
            break;
        }
    }
    assert!(!found.is_empty(), "what ran was never another than was judged");
    for event in &found {
        let path = event.text("process.executable");
        assert!(["/usr/bin/true", "/usr/bin/printf"].contains(&path), "{event:#}");
        assert_eq!(event.pointer("/process/name").and_then(Value::as_str), path.rsplit('/').next(), "{event:#}");
        assert!(event.text("process.command_line").ends_with("one two"), "{event:#}");
        assert!(event.text("message").contains(" one two"), "{event:#}");
    }
}

/// A program gains rights by its file where the kernel gives it some: not in a user namespace that has no number for its owner, not
/// under no_new_privs or on a nosuid mount, and not by capabilities where root starts it.
#[test]
fn a_setuid_bit_counts_where_the_kernel_counts_it() {
    enter();
    let place = Place::new();
    place.write("nosuid/.keep", "");
    place.write("suid/.keep", "");
    for folder in ["nosuid", "suid"] {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("{folder},mode=755"), "tmpfs"]).arg(place.join(folder));
        assert!(mount.status().expect("mount").success(), "{folder}");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/c/secure.c");
    assert!(Command::new("cc").arg("-o").arg(place.join("secure")).arg(source).status().expect("cc").success());
    let mut programs = Vec::new();
    for folder in ["suid", "nosuid"] {
        for (name, owner, mode) in
            [("plain", 0, 0o755), ("root", 0, 0o4755), ("user", 33, 0o4755), ("group", 33, 0o2755), ("able", 0, 0o755)]
        {
            let path = place.join(&format!("{folder}/{name}"));
            std::fs::copy(place.join("secure"), &path).expect("a copy");
            std::os::unix::fs::chown(&path, Some(owner), Some(owner)).expect("chown");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("permissions");
            if name == "able" {
                // struct vfs_cap_data of linux/capability.h, with CAP_NET_RAW.
                let code = "import os, struct, sys; os.setxattr(sys.argv[1], 'security.capability', \
                            struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0))";
                assert!(
                    Command::new("/usr/bin/python3").args(["-c", code]).arg(&path).status().expect("python").success()
                );
            }
            programs.push(path);
        }
    }
    let user = ["setpriv", "--reuid", "34", "--regid", "34", "--clear-groups"];
    let starts: [&[&str]; 6] = [
        &["env"],
        &user,
        &[&user[..], &["--no-new-privs"]].concat(),
        &[&user[..], &["unshare", "-U", "--map-current-user"]].concat(),
        &[&user[..], &["unshare", "-r"]].concat(),
        &[&user[..], &["unshare", "-U"]].concat(),
    ];
    let config = place.write("portcullis.toml", "[log]\nsink = [\"stderr\"]\nmerge = false\n");
    let mut wrong = Vec::new();
    let mut seen = [false; 2];
    for start in starts {
        for program in &programs {
            let code = "exec {$ARGV[0]} @ARGV";
            let whole = [start, &["/usr/bin/perl", "-e", code]].concat();
            let bare = Command::new(whole[0]).args(&whole[1..]).arg(program).output().expect("a command");
            let secure = String::from_utf8_lossy(&bare.stdout).trim() == "secure 1";
            assert!(secure || bare.stdout == b"secure 0\n", "{start:?} {}", program.display());
            let mut command = place.portcullis();
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").args(whole).arg(program);
            let done = command.output().expect("portcullis run");
            assert_eq!(done.stdout, bare.stdout, "{start:?} {}", program.display());
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let is_said = |event: &Value| event.pointer("/portcullis/unguarded").is_some_and(|word| word == "setuid");
            let named = events.filter(is_said).count() == 1;
            seen[usize::from(secure)] = true;
            if named != secure {
                wrong.push(format!("{start:?} {}: secure {secure}, named {named}", program.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, [true; 2]);
}

/// The event of a variable is worded by what the variable is for.
#[test]
fn a_variable_that_loads_code_is_worded_by_its_kind() {
    enter();
    let place = Place::new();
    let config = place.write("portcullis.toml", "[log]\nsink = [\"stderr\"]\nmerge = false\n");
    for (name, kind) in [
        ("LD_LIBRARY_PATH", "a variable for its loader: /bin/true"),
        ("NODE_OPTIONS", "a variable that chooses code: /bin/true"),
        ("PYTHONPATH", "a variable that chooses code: /bin/true"),
    ] {
        let mut command = place.portcullis();
        command.args(["run", "--role", "serving", "--config"]).arg(&config).args(["--", "/usr/bin/perl", "-e"]);
        command.arg(format!("$ENV{{{name}}} = '/nowhere'; exec '/bin/true'"));
        let said = String::from_utf8_lossy(&command.output().expect("portcullis run").stderr).into_owned();
        let event: Value = said.lines().find_map(|line| serde_json::from_str(line).ok()).expect("an event");
        assert!(event.text("message").ends_with(kind), "{event:#}");
        assert!(!event.text("portcullis.clause").contains("the loader"), "{event:#}");
    }
}
