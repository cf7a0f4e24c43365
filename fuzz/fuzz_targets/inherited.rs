//! What a descendant finds in its environment: read or refused, and what was read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_request::wire;

fuzz_target!(|data: &[u8]| {
    if let Some(request) = wire::read(data) {
        let mut text = Vec::new();
        wire::write(&request, request.id, |bytes| text.extend_from_slice(bytes));
        assert!(text.len() <= wire::WIRE_MAX);
        let again = wire::read(&text).expect("what was written is read");
        assert_eq!(again.state, request.state);
    }
});
