//! What policies decide: against a model, and as the documentation says it.

mod lists;
mod model;

use portcullis_policy::egress::Connection;
use std::net::IpAddr;

fn to(address: IpAddr, port: u16) -> Connection {
    Connection { address, port, sends: false }
}
