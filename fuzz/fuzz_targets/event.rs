//! An event with any bytes in its texts: a line of JSON within its bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_event::{Json, Line};

fuzz_target!(|data: (u16, &[u8])| {
    let (max, text) = data;
    let mut buffer = Line::new();
    let mut json = Json::new(&mut buffer);
    let max = usize::from(max % 8192).max(3);
    json.string(text, max);
    let line = json.finish();
    assert!(line.len() <= max + 2);
    let line = std::str::from_utf8(line).expect("UTF-8");
    assert!(line.starts_with('"') && line.ends_with('"') && !line.contains('\n'));
});
