//! A log of any bytes: a report, in which nothing of it is markup.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let page = portcullis_cli::report_on(lines);
    assert!(page.starts_with("<!DOCTYPE html>"));
    let own = portcullis_cli::report_on(b"");
    assert!(page.matches("<script").count() == own.matches("<script").count() && !page.contains("<img"));
});
