//! The `portcullis` command.

/// A log is many small texts, of which most are let go at once: with the C library's allocator they cost a quarter of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    portcullis_cli::main()
}
