//! Interpreters that a web server's configuration names for CGI scripts (lighttpd's `cgi.assign`, Apache's `Action`): such a script
//! is no tool. An environment of CGI that a page makes says nothing.

use crate::harness::{Apache, Guard, Kind, Parts, Place, Process, enter, every_rule, http, named, wait_until};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// Prints who runs it, and starts the interpreter once more if it is asked to, as the server would.
const SCRIPT: &str = "print \"Content-Type: text/plain\\n\\n$ENV{SCRIPT_FILENAME} $ENV{GATEWAY_INTERFACE}\\n\";\n\
                      $| = 1;\nsystem($^X, $ENV{SCRIPT_FILENAME}) if delete $ENV{QUERY_STRING};\n";
const PHP: &str = "<?php echo 'page ', $_SERVER['REDIRECT_STATUS'] ?? '';\n";

fn scripts(place: &Place) -> std::path::PathBuf {
    let www = place.join("www");
    for (name, text) in [("a.pl", SCRIPT), ("own.pl", SCRIPT), (".hidden.pl", SCRIPT), ("page.php", PHP)] {
        place.write(&format!("www/{name}"), text);
    }
    chown(www.join("own.pl"), Some(33), Some(33)).expect("an owner");
    www
}

fn lighttpd(place: &Place, guard: Option<&Guard>) -> Process {
    let www = scripts(place);
    let config = place.write(
        "lighttpd.conf",
        &format!(
            "server.modules = (\"mod_cgi\")\nserver.document-root = \"{}\"\nserver.port = 8083\nserver.bind = \"127.0.0.1\"\n\
             server.username = \"www-data\"\nserver.groupname = \"www-data\"\ncgi.assign = (\".pl\" => \"/usr/bin/perl\")\n",
            www.display()
        ),
    );
    let mut command = Command::new("/usr/sbin/lighttpd");
    command.arg("-D").arg("-f").arg(config);
    let process = Process::start(command, guard);
    wait_until("lighttpd", || TcpStream::connect(("127.0.0.1", 8083)).is_ok());
    process
}

/// The tools that were seen, with their arguments.
fn tools(events: &mut crate::harness::Events) -> Vec<String> {
    let all = events.fresh().into_iter();
    let rule =
        |event: &serde_json::Value| event.text("rule.id") == "exec-tool" || event.to_string().contains("exec-tool");
    all.filter(rule).map(|event| event.text("process.command_line").to_owned()).collect()
}

#[test]
fn a_script_that_lighttpd_assigns_is_no_tool() {
    enter();
    for mode in ["audit", "enforce"] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&every_rule(mode));
        let _server = lighttpd(&place, Some(&guard));
        let mut events = guard.events();
        let ask = |path: &str| http::get(8083, path).body;
        let runs = |path: &str| ask(path).contains(&format!("{} CGI/1.1", path.split('?').next().expect("a path")));
        assert!(runs("/a.pl"), "{mode}: {}", ask("/a.pl"));
        assert_eq!(tools(&mut events), [""; 0], "{mode}");
        // What anybody may have put there, and what hides, is a tool's.
        for path in ["/own.pl", "/.hidden.pl"] {
            assert_eq!(runs(path), mode == "audit", "{mode}: {path}");
            assert_eq!(tools(&mut events).len(), 1, "{mode}: {path}");
        }
        // The script itself is no server.
        assert!(runs("/a.pl?again"));
        assert_eq!(tools(&mut events).len(), 1, "{mode}: by the script itself");
    }
}

#[test]
fn an_interpreter_that_is_apaches_action_is_no_tool() {
    enter();
    let place = Place::new();
    scripts(&place);
    let guard = place.guard_of_every_event(&every_rule("audit"));
    let extra = "LoadModule actions_module /usr/lib/apache2/modules/mod_actions.so\n\
                 LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so\n\
                 LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so\nTypesConfig /dev/null\n\
                 ScriptAlias /gateway/ /usr/bin/\n<Directory /usr/bin>\nRequire all granted\n</Directory>\n\
                 Action by-php /gateway/php-cgiX.Y\n<Files *.php>\nSetHandler by-php\n</Files>\n";
    let apache = Apache::start(&place, Some(&guard), Kind::Cgid, None, &named(extra));
    let mut events = guard.events();
    let said = http::get(apache.port, "/page.php").body;
    assert_eq!(said, "page 200", "{}", std::fs::read_to_string(place.join("apache-error.log")).unwrap_or_default());
    assert_eq!(tools(&mut events), [""; 0]);
}

/// A page of PHP in Apache's own worker, and a Python application in uWSGI's, make an environment as a server would.
#[test]
fn an_environment_of_a_pages_own_is_no_servers() {
    const PAGE: &str = "<?php $script = __DIR__ . '/a.pl';\n\
        $own = ['GATEWAY_INTERFACE' => 'CGI/1.1', 'SCRIPT_FILENAME' => $script, 'SERVER_SOFTWARE' => 'lighttpd'];\n\
        $p = proc_open(['/usr/bin/perl', $script], [1 => ['pipe', 'w']], $pipes, null, $own);\n\
        echo $p ? stream_get_contents($pipes[1]) : 'refused';\n";
    const APP: &str = "import subprocess\ndef application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n    script = 'WWW/a.pl'\n\
        \x20   own = {'GATEWAY_INTERFACE': 'CGI/1.1', 'SCRIPT_FILENAME': script, 'SERVER_SOFTWARE': 'lighttpd'}\n\
        \x20   return [subprocess.run(['/usr/bin/perl', script], env=own, stdout=-1).stdout]\n";
    enter();
    for server in ["mod_php", "uwsgi"] {
        let place = Place::new();
        let www = scripts(&place);
        place.write("www/own.php", PAGE);
        let guard = place.guard_of_every_event(&every_rule("audit"));
        let _server: Box<dyn std::any::Any> = match server {
            "uwsgi" => Box::new(uwsgi(&place, &guard, &APP.replace("WWW", www.to_str().expect("a path")))),
            _ => Box::new(Apache::start(&place, Some(&guard), Kind::ModPhp, None, "")),
        };
        let mut events = guard.events();
        let said = http::get(8082, "/own.php").body;
        assert!(said.contains("a.pl CGI/1.1"), "{server}: {said}");
        assert_eq!(tools(&mut events).len(), 1, "{server}");
    }
}

fn uwsgi(place: &Place, guard: &Guard, app: &str) -> Process {
    let app = place.write("app/app.py", app);
    // By the name of a server that is believed: its link does not make it one.
    let program = place.join("lighttpd");
    std::os::unix::fs::symlink("/usr/bin/uwsgi", &program).expect("a link");
    std::fs::set_permissions(Path::new(&app), PermissionsExt::from_mode(0o644)).expect("permissions");
    let mut command = Command::new(program);
    command.args([
        "--plugin",
        "python3",
        "--http-socket",
        "127.0.0.1:8082",
        "--master",
        "--need-app",
        "--processes",
        "1",
    ]);
    command.args(["--uid", "www-data", "--gid", "www-data", "--die-on-term", "--wsgi-file"]).arg(app);
    let process = Process::start(command, Some(guard));
    wait_until("uwsgi", || TcpStream::connect(("127.0.0.1", 8082)).is_ok());
    process
}
