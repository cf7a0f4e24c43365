//! Compiles shim/ and the built-in default policy.

use portcullis_config::{Config, compile_for_library};
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("default.policy"), compile_for_library(&Config::default())).expect("OUT_DIR is writable");
    cc::Build::new()
        .file("shim/variadic.c")
        .file("shim/stream.c")
        .file("shim/thread.c")
        .file("shim/loaded.c")
        .flag("-fvisibility=hidden")
        .flag("-fno-stack-protector")
        .warnings_into_errors(true)
        .compile("portcullis_shim");
    // The libc crate leaves libc to std where another crate of the workspace has its feature `std` on.
    println!("cargo:rustc-cdylib-link-arg=-lc");
    // Cargo's own `strip` is not passed on to a package that has a profile of its own. A profiler wants the names.
    println!("cargo:rerun-if-env-changed=PORTCULLIS_SYMBOLS");
    if std::env::var_os("PORTCULLIS_SYMBOLS").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--strip-all");
    }
    // Without the compiler's start files, which bring a page of data and calls at start and end that nothing here needs.
    println!("cargo:rustc-cdylib-link-arg=-nostartfiles");
    // One segment for constants and code: a mapping and some page faults less in every program that is started. By lld's
    // word for it on x86_64, where Rust brings lld, and by GNU ld's elsewhere.
    let one_segment = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "--no-rosegment",
        _ => "-z,noseparate-code",
    };
    // -Bsymbolic-functions: the hooks name each other, and what they mean is in here: so the loader has a fifth of the names
    // to look up, for every program that is started. Not -Bsymbolic, by which RTLD_DEFAULT means this library first.
    for flag in [
        one_segment,
        "-Bsymbolic-functions",
        "-z,separate-loadable-segments",
        "-z,defs",
        "-z,now",
        "-z,relro",
        "-z,nodelete",
        "-z,noexecstack",
        "-soname,libportcullis.so",
    ] {
        println!("cargo:rustc-cdylib-link-arg=-Wl,{flag}");
    }
}
