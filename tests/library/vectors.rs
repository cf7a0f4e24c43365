//! A program whose arguments cannot be read: the kernel looks for the program first, and says what is wrong with that.

use crate::build::{built, compile, enter};
use std::process::Command;

const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int main(void)
{
    char *wild[] = {"true", (char *)8, 0};
    char **vectors[] = {(char **)8, (char **)-8, (char **)-1, wild};
    const char *paths[] = {"/bin/true", "/nonexistent", "/tmp", "/etc/passwd", "", "/bin/true/x", "nonexistent", "true",
                           "/proc/self/root/bin/true", "no-interpreter", "loop"};
    setbuf(stdout, 0);
    for (int p = 0; p < sizeof paths / sizeof *paths; p++)
        for (int v = 0; v < sizeof vectors / sizeof *vectors; v++) {
            int said[7];
            errno = 0, execve(paths[p], vectors[v], environ), said[0] = errno;
            errno = 0, execv(paths[p], vectors[v]), said[1] = errno;
            errno = 0, syscall(SYS_execve, paths[p], vectors[v], environ), said[2] = errno;
            errno = 0, execveat(AT_FDCWD, paths[p], vectors[v], environ, 0), said[3] = errno;
            int fd = open(paths[p], O_PATH | O_CLOEXEC);
            errno = 0, execveat(fd, "", vectors[v], environ, AT_EMPTY_PATH), said[4] = errno;
            errno = 0, fexecve(fd, vectors[v], environ), said[5] = errno;
            close(fd);
            pid_t child;
            /* libc itself counts these, and faults. */
            said[6] = v < 3 ? 0 : posix_spawn(&child, paths[p], 0, 0, vectors[v], environ);
            if (v == 3 && !said[6])
                waitpid(child, 0, 0);
            printf("%s %d:", paths[p], v);
            for (int i = 0; i < 7; i++)
                printf(" %d", said[i]);
            printf("\n");
        }
    return 0;
}
"#;

#[test]
fn the_kernel_says_what_is_wrong_in_its_own_order() {
    enter();
    let folder = crate::build::folder();
    let source = folder.path().join("vectors.c");
    std::fs::write(&source, PROGRAM).expect("a file");
    let program = compile(&source, folder.path(), "vectors", &[]);
    let script = folder.path().join("no-interpreter");
    std::fs::write(&script, "#!/nonexistent\n").expect("a file");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).expect("a link");
    let said = |command: &mut Command| {
        let done = command.current_dir(folder.path()).output().expect("a program");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let bare = said(&mut Command::new(&program));
    assert_eq!(bare.len(), 44);
    for mode in ["audit", "enforce"] {
        for backstop in ["off", "supervise"] {
            let config = folder.path().join("config.toml");
            let log = folder.path().join("events.jsonl");
            let text = format!(
                "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{backstop}\"\n",
                log.display()
            );
            std::fs::write(&config, text).expect("a file");
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program);
            // What libc executes in a new process is the supervisor's to answer, and the last number.
            let of_hooks = |lines: &[String]| match backstop {
                "off" => lines.to_vec(),
                _ => lines.iter().map(|line| line.rsplit_once(' ').expect("numbers").0.to_owned()).collect(),
            };
            assert_eq!(of_hooks(&said(&mut command)), of_hooks(&bare), "{mode}, {backstop}");
        }
    }
}
