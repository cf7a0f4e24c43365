//! The `portcullis` command.

/// A log is many small texts, of which most are let go at once: with the C library's allocator they cost a quarter of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Before the standard library opens /dev/null in the place of a standard stream that is closed: no other code runs earlier. It is the
/// one unsafe attribute of the crates: the section takes pointers to functions, and this is one.
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = look_first;

extern "C" fn look_first() {
    portcullis_cli::look_first();
}

fn main() -> std::process::ExitCode {
    portcullis_cli::main()
}
