//! What the SIEM and the fleet get: the events' fields, the rules that fire on them, the ways they go, the metrics, the role.

#[path = "../servers/harness/mod.rs"]
// These tests use a part of it.
#[allow(dead_code, unused_imports)]
mod harness;

mod bans;
mod containers;
mod crowdsec;
mod fields;
mod lines;
mod metrics;
mod notify;
mod schemas;
mod shipping;
mod sigma;
mod wazuh;
mod worked;
mod workflows;
