//! What the event of a program says where not all of it is known.

use crate::harness::{Parts, Place, enter};
use serde_json::Value;

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
