//! An address that a program hands over, and the verdict of the built-in policy on it: the same for each way to write one address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::address::internet;
use portcullis_policy::egress::{Connection, Transport, canonical};
use portcullis_policy::name::HostName;
use portcullis_policy::{GLOBAL_SCOPE, Policy};
use std::net::IpAddr;
use std::sync::LazyLock;

static DEFAULT: LazyLock<Vec<u8>> = LazyLock::new(|| portcullis_config::compile(&portcullis_config::Config::default()));

fuzz_target!(|data: (u8, &[u8])| {
    let (len, bytes) = data;
    let Some((address, port)) = internet(bytes, usize::from(len)) else { return };
    let policy = Policy::new(&DEFAULT).expect("a policy");
    let verdict = |address: IpAddr| {
        let to = Connection { address, port, sends: true };
        policy.decide_connect(GLOBAL_SCOPE, to, || Transport::Stream, HostName::none)
    };
    let of_address = verdict(address);
    assert_eq!(of_address, verdict(canonical(address)));
    if let IpAddr::V4(v4) = address {
        assert_eq!(of_address, verdict(IpAddr::V6(v4.to_ipv6_mapped())));
    }
});
