//! The programs: how each is made and started. `ZOO` stands for the folder of their sources, `PLACE` for the test's own, `WITNESS` for
//! the script that says what a started program sees, `RAW` for a compiler's flags without libc, `PYTHON` for what scripts/zoo makes,
//! `X.Y` for the version of PHP.

/// What a program may see of the guard (docs/threat-model.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sees {
    Nothing,
    /// No library that the unit preloads: a sanitizer's has to be the first, and a 32-bit program cannot load it. With a backstop, it
    /// gets the guard's variables.
    NoPreload,
    /// It is static or musl's: it gets the guard's variables to hand on.
    Variables,
    /// It gains privileges: what its loader leaves where `LD_PRELOAD` was, too.
    Gap,
}

pub struct Program {
    pub name: &'static str,
    /// How it is made, by a shell; empty where the distribution has made it.
    pub make: &'static str,
    pub command: &'static [&'static str],
    pub sees: Sees,
}

pub const fn program(name: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, make: "", command, sees: Sees::Nothing }
}

pub const fn made(name: &'static str, make: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, make, command, sees: Sees::Nothing }
}

const fn unpreloaded(name: &'static str, make: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, make, command, sees: Sees::NoPreload }
}

pub const fn seeing(name: &'static str, make: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, make, command, sees: Sees::Variables }
}

const fn gaining(name: &'static str, make: &'static str, command: &'static [&'static str]) -> Program {
    Program { name, make, command, sees: Sees::Gap }
}

pub const PROGRAMS: &[Program] = &[
    // Shells, and what the shells' own ways of starting are.
    program("dash", &["/bin/dash", "ZOO/own.sh", "WITNESS"]),
    program("bash", &["/bin/bash", "ZOO/own.sh", "WITNESS"]),
    program("bash, posix", &["/bin/bash", "--posix", "ZOO/own.sh", "WITNESS"]),
    program("mksh", &["/bin/mksh", "ZOO/own.sh", "WITNESS"]),
    program("zsh", &["/usr/bin/zsh", "ZOO/own.sh", "WITNESS"]),
    program("a script by its first line", &["PLACE/bin/line", "WITNESS"]),
    program("a script without a first line", &["/bin/sh", "-c", "PLACE/bin/noline WITNESS"]),
    program("a script by env -S", &["PLACE/bin/split", "WITNESS"]),
    seeing("busybox", "", &["/bin/busybox", "sh", "ZOO/own.sh", "WITNESS"]),
    seeing("busybox's tools", "", &["/bin/busybox", "sh", "-c", "seq 3 | xargs -n1 echo | sort -r"]),
    // Interpreters.
    program("Python", &["/usr/bin/python3", "ZOO/own.py", "WITNESS"]),
    program("Python, isolated", &["/usr/bin/python3", "-I", "-S", "-E", "ZOO/own.py", "WITNESS"]),
    program("Perl", &["/usr/bin/perl", "ZOO/own.pl", "WITNESS"]),
    program("PHP", &["/usr/bin/phpX.Y", "ZOO/own.php", "WITNESS"]),
    program("Node.js, and its threads", &["/usr/bin/node", "ZOO/own.js", "WITNESS"]),
    program("Ruby", &["/usr/bin/ruby", "ZOO/own.rb", "WITNESS"]),
    program("Lua", &["/usr/bin/lua5.4", "ZOO/own.lua", "WITNESS"]),
    program("Tcl", &["/usr/bin/tclsh", "ZOO/own.tcl", "WITNESS"]),
    program("gawk", &["/usr/bin/gawk", "-v", "witness=WITNESS", "-f", "ZOO/own.awk"]),
    program("mawk", &["/usr/bin/mawk", "-v", "witness=WITNESS", "-f", "ZOO/own.awk"]),
    program("Guile", &["/usr/bin/guile", "--no-auto-compile", "ZOO/own.scm", "WITNESS"]),
    program("sed", &["/bin/sed", "-n", "1e sh WITNESS a", "ZOO/own.sh"]),
    program("make", &["/usr/bin/make", "-s", "--eval", "all: ; @sh WITNESS a", "all"]),
    program("m4", &["/usr/bin/m4", "PLACE/calls.m4"]),
    program("dc", &["/usr/bin/dc", "-e", "!echo from dc"]),
    program("bc", &["/bin/sh", "-c", "echo '2^70' | bc"]),
    program("jq", &["/usr/bin/jq", "-n", "[$ENV|keys[]|select(test(\"PORTCULLIS|LD_\"))]"]),
    program("SQLite", &["/usr/bin/sqlite3", ":memory:", ".shell sh WITNESS a"]),
    // Native programs, by compiler and kind.
    made("C", "cc -O1 -o PLACE/bin/c ZOO/own.c", &["PLACE/bin/c", "WITNESS"]),
    made(
        "C, not position-independent",
        "cc -no-pie -fno-pie -o PLACE/bin/nopie ZOO/own.c",
        &["PLACE/bin/nopie", "WITNESS"],
    ),
    made("C, by tcc", "tcc -o PLACE/bin/tcc ZOO/own.c", &["PLACE/bin/tcc", "WITNESS"]),
    made("C, in memory by tcc", "true", &["/usr/bin/tcc", "-run", "ZOO/own.c", "WITNESS"]),
    made("C, threads", "cc -O1 -pthread -o PLACE/bin/threads ZOO/threads.c", &["PLACE/bin/threads"]),
    made("C++", "g++ -x c++ -w -fpermissive -o PLACE/bin/cpp ZOO/own.c", &["PLACE/bin/cpp", "WITNESS"]),
    unpreloaded(
        "AddressSanitizer",
        "cc -fsanitize=address -o PLACE/bin/asan ZOO/own.c",
        &["PLACE/bin/asan", "WITNESS"],
    ),
    unpreloaded("ThreadSanitizer", "cc -fsanitize=thread -o PLACE/bin/tsan ZOO/own.c", &["PLACE/bin/tsan", "WITNESS"]),
    made(
        "UndefinedBehaviorSanitizer",
        "cc -fsanitize=undefined -o PLACE/bin/ubsan ZOO/own.c",
        &["PLACE/bin/ubsan", "WITNESS"],
    ),
    unpreloaded("libasan behind a script", "true", &["/bin/sh", "-c", "PLACE/bin/asan WITNESS; echo $?"]),
    seeing("C, static", "cc -static -o PLACE/bin/static ZOO/own.c", &["PLACE/bin/static", "WITNESS"]),
    seeing(
        "C, static and position-independent",
        "cc -static-pie -o PLACE/bin/staticpie ZOO/own.c",
        &["PLACE/bin/staticpie", "WITNESS"],
    ),
    seeing("C, musl", "musl-gcc -o PLACE/bin/musl ZOO/own.c", &["PLACE/bin/musl", "WITNESS"]),
    seeing(
        "C, musl, static",
        "musl-gcc -static -o PLACE/bin/muslstatic ZOO/own.c",
        &["PLACE/bin/muslstatic", "WITNESS"],
    ),
    seeing(
        "C, without libc, static",
        "cc RAW -static -no-pie -fno-pie -o PLACE/bin/rawstatic ZOO/raw.c",
        &["PLACE/bin/rawstatic", "WITNESS"],
    ),
    seeing(
        "C, without libc, position-independent",
        "cc RAW -static-pie -fpie -o PLACE/bin/rawstaticpie ZOO/raw.c",
        &["PLACE/bin/rawstaticpie", "WITNESS"],
    ),
    made(
        "C, without libc, dynamic",
        "cc RAW -pie -fpie -Wl,--dynamic-linker=$(readelf -lW /bin/true | sed -n 's/.*interpreter: \\(.*\\)]/\\1/p') -o PLACE/bin/rawdynamic ZOO/raw.c",
        &["PLACE/bin/rawdynamic", "WITNESS"],
    ),
    unpreloaded(
        "C, 32-bit, static",
        "cc RAW -m32 -static -no-pie -fno-pie -o PLACE/bin/raw32 ZOO/raw.c",
        &["PLACE/bin/raw32", "WITNESS"],
    ),
    unpreloaded(
        "C, 32-bit, dynamic",
        "cc RAW -m32 -pie -fpie -Wl,--dynamic-linker=/lib/ld-linux.so.2 -o PLACE/bin/raw32dynamic ZOO/raw.c",
        &["PLACE/bin/raw32dynamic", "WITNESS"],
    ),
    made(
        "C, packed by gzexe",
        "cp PLACE/bin/c PLACE/bin/packed && gzexe PLACE/bin/packed 2> /dev/null",
        &["PLACE/bin/packed", "WITNESS"],
    ),
    made("Rust", "rustc -o PLACE/bin/rust ZOO/own.rs", &["PLACE/bin/rust", "WITNESS"]),
    seeing(
        "Rust, static",
        "rustc -C target-feature=+crt-static -o PLACE/bin/ruststatic ZOO/own.rs",
        &["PLACE/bin/ruststatic", "WITNESS"],
    ),
    program("Go, dynamic", &["/usr/bin/git-lfs", "version"]),
    // Privileges.
    gaining(
        "setuid",
        "cp PLACE/bin/c PLACE/bin/setuid && chown nobody PLACE/bin/setuid && chmod 4755 PLACE/bin/setuid",
        &["PLACE/bin/setuid", "WITNESS"],
    ),
    gaining(
        "setgid",
        "cp PLACE/bin/c PLACE/bin/setgid && chgrp nogroup PLACE/bin/setgid && chmod 2755 PLACE/bin/setgid",
        &["PLACE/bin/setgid", "WITNESS"],
    ),
    gaining(
        "with a capability",
        "cp PLACE/bin/c PLACE/bin/capable && setcap cap_net_raw+ep PLACE/bin/capable",
        &["PLACE/bin/capable", "WITNESS"],
    ),
    program("sudo", &["/usr/bin/sudo", "-n", "true"]),
    program("su", &["/bin/su", "-c", "true", "nobody"]),
    // What starts programs.
    program("env", &["/usr/bin/env", "-i", "A=b", "sh", "WITNESS"]),
    program(
        "xargs",
        &[
            "/bin/sh",
            "-c",
            "cd PLACE/own.d && echo a b | xargs -P2 -n1 sh -c 'sh WITNESS $0 > x.$0'; cat x.a x.b; rm x.?",
        ],
    ),
    program("find", &["/usr/bin/find", "WITNESS", "-exec", "sh", "{}", "a", ";"]),
    program("timeout", &["/usr/bin/timeout", "60", "sh", "WITNESS"]),
    program("nohup", &["/usr/bin/nohup", "sh", "WITNESS"]),
    program("setsid", &["/usr/bin/setsid", "-w", "sh", "WITNESS"]),
    program("nice", &["/usr/bin/nice", "-n", "3", "sh", "WITNESS"]),
    program("stdbuf", &["/usr/bin/stdbuf", "-o0", "sh", "WITNESS"]),
    program("fakeroot", &["/usr/bin/fakeroot", "sh", "-c", "id -u; chown 0 PLACE/own 2>&1; stat -c %u PLACE/own"]),
    program("flock", &["/usr/bin/flock", "PLACE/own", "sh", "WITNESS"]),
    program("prlimit", &["/usr/bin/prlimit", "--nofile=77:99", "sh", "WITNESS"]),
    // What web applications start.
    program(
        "git",
        &[
            "/bin/sh",
            "-c",
            "cd PLACE/own.d && rm -rf .git && git init -q . 2>&1; git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m a && git log --format=%s",
        ],
    ),
    program("curl", &["/bin/sh", "-c", "curl -s -m 9 http://localhost:1/; echo $?"]),
    program(
        "OpenSSL",
        &[
            "/bin/sh",
            "-c",
            "echo a | openssl dgst -sha256; openssl s_client -connect localhost:1 </dev/null 2>&1 | grep -c refused",
        ],
    ),
    program(
        "GnuPG",
        &["/bin/sh", "-c", "rm -f PLACE/own.d/*.kbx* PLACE/own.d/*.gpg; gpg --homedir PLACE/own.d --batch --list-keys"],
    ),
    program("ssh", &["/usr/bin/ssh", "-o", "BatchMode=yes", "-p", "1", "localhost", "true"]),
    program(
        "ssh-keygen",
        &[
            "/bin/sh",
            "-c",
            "ssh-keygen -q -t ed25519 -N '' -f PLACE/own.d/key && ssh-keygen -lf PLACE/own.d/key | cut -c1-4; rm PLACE/own.d/key*",
        ],
    ),
    program("msmtp", &["/bin/sh", "-c", "echo a | msmtp --host=localhost --port=1 --from=a@b.example c@d.example"]),
    program(
        "ImageMagick",
        &["/bin/sh", "-c", "/usr/bin/convert -size 8x8 xc:red png:- | /usr/bin/identify -format '%wx%h' -"],
    ),
    program("Ghostscript", &["/usr/bin/gs", "-q", "-dNODISPLAY", "-dBATCH", "-dNOSAFER", "-c", "(out) print flush"]),
    program("tar", &["/bin/sh", "-c", "tar -C ZOO -cf - own.c | tar -tf -; tar -C ZOO -czf - own.c | tar -tzf -"]),
    program("gcc", &["/usr/bin/cc", "-o", "/dev/null", "ZOO/own.c"]),
    program("file", &["/usr/bin/file", "-b", "ZOO/own.c"]),
    program("a name", &["/usr/bin/getent", "hosts", "localhost"]),
    program("nothing of that name", &["PLACE/none"]),
    program("a directory", &["PLACE"]),
    program("no program", &["/bin/sh", "-c", "ZOO/own.c; echo $?"]),
];
