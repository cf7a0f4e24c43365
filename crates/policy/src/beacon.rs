//! How the guard's counters lie in a guarded process, for whoever reads them from outside. The library has, in its data at
//! a multiple of eight bytes, a beacon: [`MAGIC`], the version in 16 bytes padded with NUL, then the addresses of the role
//! (a byte), of the pointer to the compiled policy in force (null for the built-in one), of the pointer to the counters
//! that are shared with forks (null before there are any), and of the process's own counters. Numbers are 64 bits wide
//! and in the machine's order; offsets are in bytes.

/// The beacon begins with it.
pub const MAGIC: [u8; 16] = *b"portcullis/bcn1\0";
/// The version of the library.
pub const VERSION: usize = 16;
/// Address of the role: 0 before the constructor has run, 1 master, 2 serving, 3 descendant.
pub const ROLE_AT: usize = 32;
/// Address of the pointer to the policy in force.
pub const POLICY_AT: usize = 40;
/// Address of the pointer to the shared counters.
pub const SHARED_AT: usize = 48;
/// Address of the process's own counters, which count where there are no shared ones.
pub const OWN_AT: usize = 56;
/// Size of the beacon.
pub const SIZE: usize = 64;

/// In the counters: what names the stream of events.
pub const STREAM: usize = 0;
/// Events so far.
pub const SEQUENCE: usize = 8;
/// Of these, the ones that a sink did not take.
pub const DROPPED: usize = 16;
/// What is known of the requests and the sinks of these processes: the bits that follow.
pub const REQUESTS: usize = 32;
/// A connection was accepted.
pub const ACCEPTED: u64 = 1;
/// A request was recognised.
pub const RECOGNISED: u64 = 2;
/// PHP-FPM served a connection before any request was recognised, and none of its reads was seen.
pub const UNSEEN: u64 = 4;
/// No sink but the standard error of the container took an event.
pub const IN_CONTAINER: u64 = 8;
/// No sink took an event.
pub const NOWHERE: u64 = 16;
/// The first of [`SHARDS`] shards, each of [`SHARD_SIZE`] bytes; what is counted is their sum.
pub const FIRST_SHARD: usize = 64;
/// How many shards there are.
pub const SHARDS: usize = 16;
/// The size of one.
pub const SHARD_SIZE: usize = 64;
/// In a shard: actions that were decided on.
pub const DECISIONS: usize = 0;
/// Events of actions that went ahead.
pub const AUDITS: usize = 8;
/// Events of actions that were refused.
pub const DENIALS: usize = 16;
/// Of both, the events that were not written but counted into another.
pub const MERGED: usize = 24;
/// The size of all counters.
pub const COUNTERS_SIZE: usize = FIRST_SHARD + SHARDS * SHARD_SIZE;
