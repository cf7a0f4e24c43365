//! A thread loads a library with RTLD_DEEPBIND while another asks for functions: each slot is guarded, and the loader's pages stay
//! as the loader needs them.

use crate::build::{built, compile, enter};
use std::fmt::Write;
use std::process::Command;

const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *asks(void *nothing)
{
    for (;;)
        dlsym(RTLD_DEFAULT, "getpid");
}
int main(int argc, char **argv)
{
    int reached = 0, refused = 0, unloads = argv[3][0] == 'u';
    pthread_t thread;
    pthread_create(&thread, 0, asks, 0);
    for (int i = 0; i < atoi(argv[2]); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/copy-%d.so", argv[1], i % 40);
        void *library = dlopen(path, (i & 1 ? RTLD_NOW : RTLD_LAZY) | RTLD_DEEPBIND);
        int (*probe)(void) = library ? dlsym(library, "probe") : 0;
        if (!probe)
            return printf("%s\n", dlerror()), 1;
        *(probe() ? &refused : &reached) += 1;
        if (unloads)
            dlclose(library);
    }
    printf("%d %d\n", reached, refused);
    fflush(stdout);
    _exit(0);
}
"#;

/// Its relocations take the loader a while, those of the call in the middle of them.
fn library() -> String {
    let mut text = String::from(
        "#include <arpa/inet.h>\n#include <netinet/in.h>\n#include <sys/socket.h>\n#include <unistd.h>\n#include <errno.h>\n\
         int probe(void)\n{\n    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4446)};\n\
             inet_pton(AF_INET, \"192.88.1.10\", &to.sin_addr);\n    int fd = socket(AF_INET, SOCK_DGRAM, 0);\n\
             int result = sendto(fd, \"x\", 1, 0, (struct sockaddr *)&to, sizeof to) == 1 ? 0 : -1;\n    close(fd);\n    return result;\n}\n",
    );
    for number in 0..3000 {
        writeln!(
            text,
            "int name_that_is_looked_up_{number}; int *const at_{number} = &name_that_is_looked_up_{number};"
        )
        .expect("text");
    }
    text
}

#[test]
fn while_another_thread_asks_for_functions() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("library.c"), folder.path().join("program.c"));
    std::fs::write(&source, library()).expect("a file");
    std::fs::write(&program, PROGRAM).expect("a file");
    let program = compile(&program, folder.path(), "program", &["-ldl"]);
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "mode = \"enforce\"\n[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\n").expect("a file");
    for flags in [&["-Wl,-z,now,-z,relro"][..], &["-fno-plt", "-Wl,-z,relro"], &["-Wl,-z,lazy,-z,norelro"]] {
        let flags = [&["-shared", "-fPIC", "-O0"][..], flags].concat();
        let library = compile(&source, folder.path(), "library.so", &flags);
        for number in 0..40 {
            std::fs::copy(&library, folder.path().join(format!("copy-{number}.so"))).expect("a copy");
        }
        for (count, how) in [("40", "keep"), ("400", "unload")] {
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program);
            let done = command.arg(folder.path()).args([count, how]).output().expect("a program");
            assert_eq!(String::from_utf8_lossy(&done.stdout), format!("0 {count}\n"), "{flags:?} {how}: {done:?}");
        }
    }
}
