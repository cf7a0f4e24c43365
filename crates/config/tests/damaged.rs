//! A compiled policy as an enemy would make it: bits flipped, cut short, numbers in it replaced, its checksum put right.
//! Whatever its bytes are, it is refused or gives a verdict.
#![allow(clippy::disallowed_methods)]

mod asking;

use asking::ask;
use portcullis_config::{compile, parse_text};
use portcullis_policy::format::checksum;
use portcullis_policy::{Malformed, Policy};
use std::path::Path;

const TEXT: &str = r#"
mode = "enforce"
[egress]
allow = ["smtp.example.com:587", "*.stripe.com:443", "192.88.1.0/24:*", "[2001:db8::1]:6379"]
deny = ["169.254.169.254:*", "evil.example:*"]
[exec]
allow = ["default", "/usr/bin/convert * *"]
[backstop]
seccomp = "supervise"
[[vhost]]
name = "shop"
match = { server_name = ["shop.example.com", "*.shop.example.com"], document_root = "/srv/shop", pool = "shop" }
mode = "audit"
[vhost.egress]
allow = ["api.stripe.com:443"]
"#;

/// Numbers that look random and are the same each time: xorshift64 (Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn is_refused_or_gives_a_verdict() {
    let loaded = parse_text(Path::new("/etc/portcullis/portcullis.toml"), TEXT);
    assert!(loaded.usable());
    let good = compile(&loaded.config);
    ask(&Policy::new(&good).expect("a policy"));
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = good.clone();
        match round % 4 {
            // Some bits.
            0 => (0..=numbers.below(8)).for_each(|_| bytes[numbers.below(good.len())] ^= 1 << numbers.below(8)),
            // Cut short, and the length in the header with it.
            1 => {
                bytes.truncate(numbers.below(good.len()));
                let length = (bytes.len() as u32).to_le_bytes();
                if let Some(to) = bytes.get_mut(12..16) {
                    to.copy_from_slice(&length);
                }
            }
            // Numbers of four bytes, most of them offsets, lengths and indices.
            _ => {
                for _ in 0..=numbers.below(4) {
                    let value = [0, 1, 0xffff_ffff, 0x7fff_ffff, good.len() as u32, numbers.below(1 << 20) as u32];
                    let value = value[numbers.below(value.len())];
                    let at = numbers.below(good.len() / 4) * 4;
                    if let Some(to) = bytes.get_mut(at..at + 4) {
                        to.copy_from_slice(&value.to_le_bytes());
                    }
                }
            }
        }
        if bytes != good {
            assert!(Policy::new(&bytes).is_err(), "the checksum finds damage");
        }
        if let Some(summed) = bytes.get(24..).map(checksum) {
            bytes[16..24].copy_from_slice(&summed.to_le_bytes());
        }
        match Policy::new(&bytes) {
            Ok(policy) => {
                taken += 1;
                ask(&policy);
            }
            Err(error) => {
                refused += 1;
                assert_ne!(error.reason(), "");
                assert!(error != Malformed::Damaged || bytes.len() <= 24, "{error:?}");
            }
        }
    }
    assert!(refused > 3000 && taken > 3000, "{refused} refused, {taken} taken");
}
