//! A compiled policy as an enemy would make it, its checksum put right: refused, or a verdict.
#![no_main]

#[path = "../../crates/config/tests/asking/mod.rs"]
mod asking;

use libfuzzer_sys::fuzz_target;
use portcullis_policy::Policy;
use portcullis_policy::format::{MAGIC, VERSION, checksum};

fuzz_target!(|data: &[u8]| {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((data.len() as u32 + 24).to_le_bytes());
    bytes.extend(checksum(data).to_le_bytes());
    bytes.extend(data);
    if let Ok(policy) = Policy::new(&bytes) {
        asking::ask(&policy);
    }
});
