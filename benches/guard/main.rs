//! What the guard costs: a call, a process, a request. Ratios of one run on one machine; `make bench` runs it.

#[path = "../../tests/servers/harness/mod.rs"]
// A benchmark uses a part of it.
#[allow(dead_code, unused_imports)]
mod harness;

mod calls;
mod process;
mod requests;

fn main() {
    // `cargo test` runs benchmarks too, to see that they build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    harness::enter();
    calls::run();
    process::run();
    requests::run();
    println!();
    requests::backstop();
}

/// The middle of some figures, with the lowest and the highest.
fn spread(figures: &mut [f64]) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
}
