//! What the SIEM and the fleet get: the events' fields, the rules that fire on them, the ways they go, the metrics, the role.

#[path = "../servers/harness/mod.rs"]
// These tests use a part of it.
#[allow(dead_code, unused_imports)]
mod harness;

mod fields;
mod metrics;
mod shipping;
mod sigma;
mod worked;
