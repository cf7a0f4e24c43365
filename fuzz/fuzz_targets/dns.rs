//! What a name server says, or anybody in its name: addresses, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::dns;

fuzz_target!(|data: &[u8]| {
    dns::addresses(data, |name, _| {
        assert!(name.bytes().len() <= 253);
        assert!(!name.bytes().iter().any(u8::is_ascii_uppercase));
    });
});
