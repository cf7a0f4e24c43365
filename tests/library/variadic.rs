//! The variadic exec functions with few, some and very many arguments.

use crate::build::{built, compile, enter};
use std::fmt::Write;
use std::process::Command;

const COUNTS: [usize; 7] = [0, 1, 2, 31, 32, 33, 5000];

/// A program that executes itself by each function with each number of arguments, and says what arrived.
fn program() -> String {
    let mut text = String::from(
        "#define _GNU_SOURCE\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
         #include <sys/wait.h>\nextern char **environ;\n\
         static char *environment[] = {\"MARK=execle\", NULL};\n\
         int main(int argc, char **argv) {\n\
         if (argc == 0 || !argv[0] || !argv[0][0] || argv[0][0] == 'a') {\n\
         unsigned sum = 0; for (int i = 0; i < argc; i++) for (char *c = argv[i]; *c; c++) sum = sum * 31 + *c;\n\
         printf(\"%d %u %s\\n\", argc, sum, getenv(\"MARK\")); return 0; }\n\
         char *self = argv[1]; setenv(\"MARK\", \"own\", 1); fflush(stdout);\n",
    );
    for count in COUNTS {
        let mut list = String::new();
        for number in 0..count {
            let _ = write!(list, "\"a{number}\", ");
        }
        for (function, end) in [("execl", "NULL"), ("execlp", "NULL"), ("execle", "NULL, environment")] {
            // glibc looks for the end of the arguments behind the first one, even where that is NULL: it would take
            // the environment for an argument.
            if count == 0 && function == "execle" {
                continue;
            }
            let _ = writeln!(text, "if (!fork()) {{ {function}(self, {list}{end}); _exit(1); }} wait(NULL);");
        }
    }
    text + "return 0; }\n"
}

#[test]
fn all_arguments_arrive() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("variadic.c");
    std::fs::write(&source, program()).expect("a file");
    let probe = compile(&source, folder.path(), "variadic", &["-O0"]);
    let bare = Command::new(&probe).arg(&probe).output().expect("the program");
    let guarded = Command::new(built().join("portcullis"))
        .args(["run", "--role", "serving", "--"])
        .args([&probe, &probe])
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&bare.stdout);
    assert_eq!(text.lines().count(), COUNTS.len() * 3 - 1, "{text}");
    assert!(text.lines().any(|line| line.starts_with("5000 ") && line.ends_with("execle")), "{text}");
    assert_eq!(text, String::from_utf8_lossy(&guarded.stdout));
}
