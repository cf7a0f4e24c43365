//! The secret by which the kernel's filter knows calls that were let pass: a script cannot read it where the kernel shows it.

use super::run;
use super::supervisor::servers_with;
use crate::harness::{Parts, Place, enter};

/// Reads what `way` says: prints a line of what was read that matters, or why it was not.
const READ: &str = "import os, socket, subprocess, sys, tempfile, threading, time
way = sys.argv[1]
listener = socket.create_server(('127.0.0.1', 0))
waiting = threading.Thread(target=listener.accept, daemon=True)
waiting.start()
call = f'/proc/self/task/{waiting.native_id}/syscall'
def waits():
    try:
        return open(f'/proc/self/task/{waiting.native_id}/wchan').read() not in ('', '0')
    except OSError:
        return True
while not waits():
    time.sleep(0.001)
def shown(path):
    with open(path, 'rb', buffering=0) as file:
        return str(len(file.read(16).split(b' ')[0]) > 0)
try:
    if way == 'path':
        print(shown(call))
    elif way == 'link':
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(call.replace('self', str(os.getpid())), folder + '/link')
            print(shown(folder + '/link'))
    elif way == 'folder':
        folder = os.open(os.path.dirname(call), os.O_PATH)
        print(os.read(os.open('syscall', os.O_RDONLY, dir_fd=folder), 1) != b'')
    elif way == 'reopened':
        print(shown(f'/proc/self/fd/{os.open(call, os.O_PATH)}'))
    elif way == 'memory':
        os.close(os.open('/proc/self/mem', os.O_RDONLY)); print(True)
    elif way == 'stream':
        print(subprocess.run(['perl', '-e', 'open F, \"<\", shift or die; print defined <F> ? \"True\" : \"no\"', call.replace('self', str(os.getpid()))], capture_output=True, text=True).stdout or 'Permission denied')
    elif way == 'traced':
        print(subprocess.run(['perl', '-e', 'print syscall(TRACE, 0, 0, 0, 0) == 0 ? \"True\" : \"no\"'], capture_output=True, text=True).stdout.replace('no', 'Permission denied'))
    elif way == 'from outside':
        reads = 'my ($p, $v) = (shift, pack(\"QQ\", 0, 0)); $! = 0; syscall(READ, $p, $v, 1, $v, 1, 0); print $!{EPERM} ? \"no\" : \"True\"'
        print(subprocess.run(['perl', '-MErrno', '-e', reads, str(os.getpid())], capture_output=True, text=True).stdout.replace('no', 'Permission denied'))
except PermissionError:
    print('Permission denied')";

const WAYS: [&str; 8] = ["path", "link", "folder", "reopened", "memory", "stream", "traced", "from outside"];

const CONFIG: &str = "[rules.process-memory]\nmode = \"enforce\"\n";

#[test]
fn a_script_cannot_read_what_a_waiting_call_was_given() {
    enter();
    let place = Place::new();
    let audit = format!(
        "[[vhost]]\nname = \"strict\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n\
         [vhost.rules.process-memory]\nmode = \"audit\"\n{CONFIG}",
        place.join("www/strict").display()
    );
    let (guard, _fpm, nginx) = servers_with(&place, &audit);
    let mut events = guard.events();
    let numbers = [("TRACE", libc::SYS_ptrace), ("READ", libc::SYS_process_vm_readv)];
    let read = numbers.iter().fold(READ.to_owned(), |text, (name, number)| {
        text.replace(&format!("syscall({name}"), &format!("syscall({number}"))
    });
    for way in WAYS {
        for (host, expected, outcome) in
            [("strict.example", "True", "success"), ("localhost", "Permission denied", "failure")]
        {
            let said = run(nginx.port, host, &["/usr/bin/python3", "-c", &read, way]);
            assert_eq!(said.lines().next(), Some(expected), "{way}, {host}: {said}");
            let fresh = events.fresh();
            let found = fresh.iter().filter(|event| event.text("rule.id") == "process-memory");
            let outcomes: Vec<&str> = found.map(|event| event.text("event.outcome")).collect();
            assert!(!outcomes.is_empty() && outcomes.iter().all(|found| *found == outcome), "{way}: {fresh:#?}");
        }
    }
}

/// Reads the environment of programs that it has just started.
const STARTED: &str = "import os, re, sys
found = 0
for _ in range(60):
    child = os.posix_spawn('/bin/sleep', ['sleep', '5'], os.environ)
    for _ in range(40):
        with open(f'/proc/{child}/environ', 'rb', buffering=0) as file:
            found += re.search(rb'PORTCULLIS_KEY=[^0\\0]', file.read(1 << 17)) is not None
    os.kill(child, 9)
    os.waitpid(child, 0)
print(found)";

#[test]
fn a_script_does_not_see_the_key_of_a_program_that_starts() {
    enter();
    let place = Place::new();
    let (_guard, _fpm, nginx) = servers_with(&place, CONFIG);
    assert_eq!(run(nginx.port, "localhost", &["/usr/bin/python3", "-c", STARTED]), "0\n 0");
}
