//! Names that a process itself resolved, by every way that there is; the name server is the test's.

use crate::build::{built, compile, enter, source};
use crate::distro::named;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

const REFUSED: &str = "13";
const CLOSED: &str = "111";
const OPEN: &str = "0";

/// The answer to a query: every name has the same address, `alias.example` by way of `api.example`.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut name = String::new();
    let mut at = 12;
    while query[at] != 0 {
        let label = &query[at + 1..=at + usize::from(query[at])];
        name += &(String::from_utf8_lossy(label).to_lowercase() + ".");
        at += 1 + label.len();
    }
    let question = &query[12..at + 5];
    let is_a = question[question.len() - 3] == 1;
    let mut out = query[..2].to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    out.extend(question);
    let record = |owner: &[u8], kind: u8, data: &[u8]| {
        [owner, &[0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8], data].concat()
    };
    if is_a {
        const ASKED: &[u8] = &[0xc0, 12];
        const API: &[u8] = b"\x03api\x07example\x00";
        let by_alias = name == "alias.example.";
        out[7] = 1 + u8::from(by_alias);
        if by_alias {
            out.extend(record(ASKED, 5, API));
        }
        out.extend(record(if by_alias { API } else { ASKED }, 1, &[192, 88, 1, 10]));
    }
    out
}

struct Place {
    folder: tempfile::TempDir,
    probe: PathBuf,
}

impl Place {
    fn new() -> Place {
        enter();
        let folder = tempfile::tempdir().expect("a folder");
        let mount = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("a file");
            let done = Command::new("mount").args(["--bind"]).arg(file).arg(Path::new("/etc").join(name)).status();
            assert!(done.expect("mount").success());
        };
        mount("resolv.conf", "nameserver 127.0.0.1\n");
        mount("hosts", "192.88.1.10 hosts.example\n");
        mount("nsswitch.conf", "hosts: files dns\n");
        // The configured name server, and one that is not.
        for address in ["127.0.0.1:53", "192.88.1.10:53"] {
            let server = UdpSocket::bind(address).expect("a name server");
            std::thread::spawn(move || {
                let mut query = [0; 1500];
                while let Ok((got, from)) = server.recv_from(&mut query) {
                    let _ = server.send_to(&answer(&query[..got]), from);
                }
            });
        }
        let probe = compile(&source("names.c"), folder.path(), "names", &["-lcares", "-lresolv"]);
        let config = "mode = \"enforce\"\n[log]\nsink = [\"file\"]\nfile = \"LOG\"\n[rules]\nexec-tool = { mode = \"off\" }\n\
                      exec-place = { mode = \"off\" }\n[egress]\n\
                      allow = [\"api.example:4446\", \"*.wild.example:4000-5000\", \"hosts.example:4446\"]\n\
                      deny = [\"bad.example:8080\"]\ncommon_ports = [\"default\", 53]\n";
        let text = config.replace("LOG", folder.path().join("events.jsonl").to_str().expect("a path"));
        std::fs::write(folder.path().join("config.toml"), text).expect("a file");
        Place { folder, probe }
    }

    /// What a program prints under the guard, and the domains of its events.
    fn run(&self, program: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let log = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&log);
        let portcullis = std::env::var_os("PORTCULLIS_OLD").map_or(built().join("portcullis"), PathBuf::from);
        let done = Command::new(portcullis)
            .args(["run", "--role", "serving", "--config"])
            .arg(self.folder.path().join("config.toml"))
            .arg("--")
            .arg(program)
            .args(arguments)
            .output()
            .expect("portcullis");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        // Node with libuv 1.50 sets up io_urings at its start: they go nowhere yet.
        let lines = text.lines().filter(|line| !line.contains("io_uring"));
        let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let domains = events.map(|event| event["destination"]["domain"].as_str().unwrap_or_default().to_owned());
        let output = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        assert!(!output.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        (output, domains.collect())
    }

    fn probe(&self, how: &str, port: &str, names: &[&str]) -> (String, Vec<String>) {
        self.run(self.probe.to_str().expect("a path"), &[&[how, port], names].concat())
    }

    fn expect(&self, how: &str, port: &str, names: &[&str], errno: &str, domain: Option<&str>) {
        let domains: Vec<String> = domain.iter().map(|&domain| domain.to_owned()).collect();
        assert_eq!(self.probe(how, port, names), (errno.to_owned(), domains), "{how} {port} {names:?}");
    }
}

#[test]
fn allowed_and_denied_by_every_way_of_resolving() {
    let place = Place::new();
    let _listener = std::net::TcpListener::bind(("192.88.1.10", 8080)).expect("a listener");
    for how in [
        "getaddrinfo",
        "gethostbyname",
        "gethostbyname2",
        "gethostbyname_r",
        "gethostbyname2_r",
        "res_query",
        "res_search",
        "res_querydomain",
        "res_nquery",
        "res_nsearch",
        "res_nquerydomain",
        "c-ares",
    ] {
        place.expect(how, "4446", &["api.example"], CLOSED, None);
        place.expect(how, "4446", &["API.Example"], CLOSED, None);
        place.expect(how, "4447", &["api.example"], REFUSED, Some("api.example"));
        place.expect(how, "4446", &["other.example"], REFUSED, Some("other.example"));
        place.expect(how, "4446", &["a.b.wild.example"], CLOSED, None);
        place.expect(how, "4446", &["wild.example"], REFUSED, Some("wild.example"));
        // The name that was asked for counts, not what it is another name of.
        place.expect(how, "4446", &["alias.example"], REFUSED, Some("alias.example"));
        // A common port, but a denied name.
        place.expect(how, "8080", &["other.example"], OPEN, None);
        place.expect(how, "8080", &["bad.example"], REFUSED, Some("bad.example"));
        // An address that several names share: the one that was resolved last.
        place.expect(how, "4446", &["api.example", "other.example"], REFUSED, Some("other.example"));
        place.expect(how, "4446", &["other.example", "api.example"], CLOSED, None);
    }
    place.expect("getaddrinfo", "4446", &["hosts.example"], CLOSED, None);
    // An address that is asked for by its digits keeps its name, however they are written.
    for digits in ["192.88.1.10", "0xc058010a", "0300.88.0x1.10", "192.88.266", "3226992906"] {
        for how in ["getaddrinfo", "gethostbyname", "gethostbyname_r"] {
            place.expect(how, "4446", &["api.example", digits], CLOSED, None);
            place.expect(how, "4447", &["api.example", digits], REFUSED, Some("api.example"));
            place.expect(how, "4446", &["other.example", digits], REFUSED, Some("other.example"));
            place.expect(how, "4446", &[digits], REFUSED, Some(""));
        }
    }
    place.expect("gethostbyname", "4446", &["192.88.1.10"], REFUSED, Some(""));
}

/// PHP's own streams, its curl with the threaded resolver, dns_get_record; Node's two resolvers.
#[test]
fn by_php_and_node() {
    let place = Place::new();
    let php = |code: &str| {
        let options = ["-n", "-d", "extension=curl.so", "-r", code];
        place.run(&named("/usr/bin/phpX.Y"), &options)
    };
    let node = |code: &str| place.run("node", &["-e", code]);
    for (name, errno, domain) in [("api.example", 111, None), ("other.example", 13, Some("other.example"))] {
        let domains: Vec<String> = domain.iter().map(|&domain: &&str| domain.to_owned()).collect();
        let wanted = (errno.to_string(), domains.clone());
        assert_eq!(php(&format!("@fsockopen('{name}', 4446, $number); echo $number;")), wanted);
        let curl = format!(
            "$c = curl_init('http://{name}:4446/'); curl_setopt($c, CURLOPT_RETURNTRANSFER, 1); curl_exec($c); \
             echo curl_getinfo($c, CURLINFO_OS_ERRNO);"
        );
        assert_eq!(php(&curl), wanted);
        let records = format!(
            "$r = dns_get_record('{name}', DNS_A); @fsockopen('tcp://' . inet_ntop(inet_pton($r[0]['ip'])), 4446, $n); echo $n;"
        );
        // PHP hands the digits to getaddrinfo again.
        assert_eq!(php(&records), wanted);
        let digits = format!("@fsockopen(gethostbyname('{name}'), 4446, $number); echo $number;");
        assert_eq!(php(&digits), wanted);
        let code = if errno == 111 { "ECONNREFUSED" } else { "EACCES" };
        let wanted = (code.to_owned(), domains);
        let connect = "net.connect({ host: address, port: 4446 }).on('error', (error) => console.log(error.code))";
        let lookup = format!("require('dns').lookup('{name}', {{ family: 4 }}, (e, address) => {connect})");
        assert_eq!(node(&lookup), wanted);
        let resolve = format!("require('dns').resolve4('{name}', (e, [address]) => {connect})");
        assert_eq!(node(&resolve), wanted);
    }
}

/// Only what a configured name server says on a connected socket is believed.
#[test]
fn a_forged_answer_gives_no_name() {
    let place = Place::new();
    let code = "import socket, sys; how, server = sys.argv[1:]; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                q = bytes.fromhex('123401000001000000000000') + b'\\3api\\7example\\0\\0\\1\\0\\1'\n\
                if how == 'connected': s.connect((server, 53)); s.send(q); s.recv(999)\n\
                else: s.sendto(q, (server, 53)); s.recvfrom(999)\n\
                print(socket.socket().connect_ex(('192.88.1.10', 4446)))";
    for (how, server, errno) in [
        ("connected", "127.0.0.1", CLOSED),
        ("connected", "192.88.1.10", REFUSED),
        ("unconnected", "127.0.0.1", REFUSED),
        ("unconnected", "192.88.1.10", REFUSED),
    ] {
        let (seen, domains) = place.run("/usr/bin/python3", &["-c", code, how, server]);
        assert_eq!(seen, errno, "{how} {server}");
        assert!(domains.iter().all(String::is_empty), "{how} {server}: {domains:?}");
    }
}

/// What lies in a socket's queue since before it was connected to the name server is from anybody, with whatever number; and
/// so is what nobody asked.
#[test]
fn an_answer_from_before_the_connect_gives_no_name() {
    let place = Place::new();
    let code = "import socket, sys; how = sys.argv[1]; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                name = b'\\3api\\7example\\0\\0\\1\\0\\1'; s.bind(('127.0.0.1', 0))\n\
                q = bytes.fromhex('123401000001000000000000') + name\n\
                a = bytes.fromhex('123481800001000100000000') + name + bytes.fromhex('c00c000100010000003c0004c058010a')\n\
                other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                if how != 'honest': other.sendto(a, s.getsockname())\n\
                s.connect(('127.0.0.1', 53))\n\
                if how == 'unasked': q = q.replace(b'api', b'abc')\n\
                if how != 'silent': s.send(q)\n\
                s.recv(999)\n\
                print(socket.socket().connect_ex(('192.88.1.10', 4446)))";
    for (how, errno) in [("honest", CLOSED), ("asked", REFUSED), ("unasked", REFUSED), ("silent", REFUSED)] {
        assert_eq!(place.run("/usr/bin/python3", &["-c", code, how]).0, errno, "{how}");
    }
}

/// What a script puts into the environment for libc's resolver takes the credit of names away, for good: libc keeps it, and
/// with it one name is resolved as another.
#[test]
fn settings_of_the_resolver_that_a_script_makes_give_no_name() {
    let place = Place::new();
    let php = |code: &str| place.run(&named("/usr/bin/phpX.Y"), &["-n", "-r", code]);
    let connect = "@fsockopen('api.example', 4446, $n); echo $n;";
    assert_eq!(php(connect).0, CLOSED);
    for setting in ["RES_OPTIONS=ndots:15", "LOCALDOMAIN=other.example", "HOSTALIASES=/tmp/a", "RESOLV_MULTI=on"] {
        let name = setting.split('=').next().expect("a name");
        assert_eq!(php(&format!("putenv('{setting}'); {connect}")).0, REFUSED, "{setting}");
        // Read by libc, and taken back before anything is connected.
        let back = format!("putenv('{setting}'); gethostbyaddr('127.0.0.1'); putenv('{name}'); {connect}");
        assert_eq!(php(&back).0, REFUSED, "{setting}");
    }
    assert_eq!(php(&format!("putenv('LANG=C'); putenv('RESULT=1'); {connect}")).0, CLOSED);
}

/// Where a process has files of its own in the place of the server's, or a network of its own, a name says nothing: nor does it in
/// what such a process starts, nor once it has come back. `unshare` and `mount` would do the same.
#[test]
fn away_from_the_server_a_name_gives_no_credit() {
    let place = Place::new();
    let code = "import ctypes, fcntl, os, signal, socket, struct, subprocess, sys
how, folder = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def do(done):
    if done: raise OSError(ctypes.get_errno(), how)
def mount(name): do(libc.mount(f'{folder}/{name}'.encode(), f'/etc/{name}'.encode(), None, 4096, None))
USER, MOUNT, NETWORK = 0x10000000, 0x20000, 0x40000000
socket.getaddrinfo('127.0.0.1', 1)
client, server = socket.socket(), 0
if how in ('hosts', 'nsswitch.conf', 'resolv.conf'):
    do(libc.unshare(USER | MOUNT))
    mount(how)
if how in ('chroot', 'back'):
    before = os.open('/', os.O_PATH)
    do(libc.unshare(USER))
    os.chroot(folder)
if how == 'back':
    socket.gethostbyaddr('192.88.1.10')
    os.fchdir(before)
    os.chroot('.')
if how in ('network', 'asked'):
    do(libc.unshare(USER | NETWORK))
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH22x', b'lo', 0x41))
    server = os.fork()
    if not server:
        signal.alarm(10)
        for number in (0, 1, 2): os.close(number)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(('127.0.0.1', 53))
        while True:
            query, to = server.recvfrom(999)
            kind = query[-3]
            answer = query[:2] + bytes.fromhex('81800001') + bytes([0, int(kind == 1)]) + bytes(4) + query[12:]
            server.sendto(answer + (bytes.fromhex('c00c000100010000003c0004c058010a') if kind == 1 else b''), to)
    import time; time.sleep(0.3)
if how == 'asked':
    q = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    q.connect(('127.0.0.1', 53))
    q.send(bytes.fromhex('123401000001000000000000') + b'\\3api\\7example\\0\\0\\1\\0\\1')
    q.recv(999)
elif how == 'started':
    do(libc.unshare(USER | MOUNT))
    mount('hosts')
    code = 'import socket; socket.gethostbyname(\"hosts.example\"); print(socket.socket().connect_ex((\"192.88.1.10\", 4446)))'
    sys.exit(subprocess.call([sys.executable, '-c', code]))
else:
    assert socket.gethostbyname('hosts.example' if how == 'chroot' else 'api.example') == '192.88.1.10'
print(client.connect_ex(('192.88.1.10', 4446)), flush=True)
if server: os.kill(server, 9)
";
    let folder = place.folder.path().join("own");
    std::fs::create_dir_all(folder.join("etc")).expect("a folder");
    for (name, text) in [
        ("hosts", "192.88.1.10 api.example hosts.example\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
        ("resolv.conf", "nameserver 127.0.0.1\noptions no-reload\n"),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
        std::fs::write(folder.join("etc").join(name), text).expect("a file");
    }
    let folder = folder.to_str().expect("a path");
    let ways = ["here", "hosts", "nsswitch.conf", "resolv.conf", "chroot", "back", "network", "asked", "started"];
    let seen = ways.map(|how| (how, place.run("/usr/bin/python3", &["-c", code, how, folder]).0));
    assert_eq!(seen, ways.map(|how| (how, if how == "here" { CLOSED } else { REFUSED }.to_owned())));
}

/// A program writes name servers of its own into the state of libc's resolver: an answer of theirs says nothing, and where they have
/// another port than name servers do, libc is not let go to connect there.
#[test]
fn name_servers_of_the_resolver_s_state_are_judged() {
    let place = Place::new();
    let code = "import ctypes, signal, socket, struct, sys, threading
signal.alarm(20)
how, number = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.2' if number == 53 else '127.0.0.1' if number < 4444 else '192.88.1.10', number))
asked = []
def answers():
    while True:
        query, to = server.recvfrom(999)
        asked.append(1)
        kind = query[-3]
        answer = query[:2] + bytes.fromhex('81800001') + bytes([0, int(kind == 1)]) + bytes(4) + query[12:]
        server.sendto(answer + (bytes.fromhex('c00c000100010000003c0004c058010a') if kind == 1 else b''), to)
threading.Thread(target=answers, daemon=True).start()
state = (ctypes.c_char * 1024)()
libc.__res_state.restype = ctypes.c_void_p
libc.__res_ninit(ctypes.c_void_p(libc.__res_state()))
libc.__res_ninit(state)
at = libc.__res_state() if not how.startswith('res_n') else ctypes.addressof(state)
address = struct.pack('=H', 2) + struct.pack('>H', server.getsockname()[1]) + socket.inet_aton(server.getsockname()[0])
if how != 'untouched':
    ctypes.memmove(at + 16, struct.pack('=i', 1), 4)
    ctypes.memmove(at + 20, address, 8)
room, name = (ctypes.c_char * 999)(), b'api.example'
query = bytes.fromhex('123401000001000000000000') + b'\\3api\\7example\\0\\0\\1\\0\\1'
errno = 0
try:
    if how in ('getaddrinfo', 'untouched'): socket.gethostbyname('api.example')
    elif how == 'gethostbyname': libc.gethostbyname(name)
    elif how == 'res_query': libc.res_query(name, 1, 1, room, 999)
    elif how == 'res_nquery': libc.res_nquery(state, name, 1, 1, room, 999)
    elif how == 'res_send': libc.res_send(query, len(query), room, 999)
    elif how == 'res_nsend': libc.res_nsend(state, query, len(query), room, 999)
    else: raise ValueError(how)
except OSError: pass
print('asked' if asked else 'silent', socket.socket().connect_ex(('192.88.1.10', 4446)))
";
    let ways = ["getaddrinfo", "gethostbyname", "res_query", "res_nquery", "res_send", "res_nsend"];
    let mut seen = Vec::new();
    for (port, wanted) in [("53", "asked 13"), ("2053", "asked 13"), ("4444", "silent 13")] {
        for how in ways {
            let (said, _) = place.run("/usr/bin/python3", &["-c", code, how, port]);
            seen.push((how, port, said, wanted.to_owned()));
        }
    }
    assert_eq!(place.run("/usr/bin/python3", &["-c", code, "untouched", "2053"]).0, "silent 111");
    let wrong: Vec<_> = seen.iter().filter(|(.., said, wanted)| said != wanted).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What connects inside libc, to a host that libc resolves only then.
#[test]
fn remote_commands_of_libc_are_not_known() {
    let place = Place::new();
    let _listener = std::net::TcpListener::bind(("192.88.1.10", 4444)).expect("a listener");
    let code = "import ctypes, signal, socket, sys
signal.alarm(5)
libc = ctypes.CDLL(None, use_errno=True)
host, how = ctypes.c_char_p(b'192.88.1.10'), sys.argv[1]
if how == 'bindresvport':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    done = libc.bindresvport(s.fileno(), None)
else:
    arguments = [ctypes.byref(host), socket.htons(4444), b'a', b'b', b'c', None]
    done = getattr(libc, how)(*arguments, *([2] if how.endswith('af') else []))
print(ctypes.get_errno() if done < 0 else 'through')
";
    let seen = ["rexec", "rexec_af", "rcmd", "rcmd_af"].map(|how| {
        let (said, domains) = place.run("/usr/bin/python3", &["-c", code, how]);
        (how, said, domains.len())
    });
    assert_eq!(seen, ["rexec", "rexec_af", "rcmd", "rcmd_af"].map(|how| (how, REFUSED.to_owned(), 1)));
    // Where nothing is known of a port, and nothing forbids any.
    assert_eq!(place.run("/usr/bin/python3", &["-c", code, "bindresvport"]).1.len(), 1);
}
