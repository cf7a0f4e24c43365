//! The bytes of a compiled policy: a header, then sections of fixed-size little-endian records.
//!
//! Every record is unaligned and made of plain integers, so any bytes are a valid record; what an index or a range
//! in a record refers to is checked when it is followed.

use crate::RULES;
use zerocopy::little_endian::{I64, U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first eight bytes of a compiled policy.
pub const MAGIC: [u8; 8] = *b"PORTCULL";
/// The version of this format; a file of another version is refused.
pub const VERSION: u32 = 4;

/// The sections, in the order of the header's table.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Section {
    /// Bytes that other records point into.
    Strings,
    /// [`Clause`]
    Clauses,
    /// [`Scope`]: the global one, the strictest one, those of virtual hosts
    Scopes,
    /// [`Net4`]
    Net4,
    /// [`Net6`]
    Net6,
    /// [`Ports`]
    Ports,
    /// [`ProgramEntry`], sorted by their bytes within a range
    Names,
    /// [`Command`], sorted by hash within a range
    Commands,
    /// [`StringRange`]: tokens of commands
    Tokens,
    /// [`Source`]
    Sources,
    /// [`Vhost`]
    Vhosts,
    /// [`Range`] of [`Section::Index`]: a hash table whose size is a power of two
    Buckets,
    /// [`Entry`]
    Index,
    /// [`Host`], sorted by hash within a range
    Hosts,
    /// [`Instruction`]: the backstop's filter, with placeholders
    Filter,
    /// [`Image`]
    Images,
}

/// How many sections there are.
pub const SECTIONS: usize = 16;

/// A run of records of some section.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Range {
    /// Index of the first record.
    pub start: U32,
    /// Number of records.
    pub len: U32,
}

/// A run of bytes in [`Section::Strings`].
pub type StringRange = Range;

/// In [`Header::sinks`]: repeated events are not merged.
pub const EVERY_EVENT: u32 = 1 << 8;
/// A bit of [`Header::sinks`]: one mode holds for every rule, whatever the configuration says beside it.
pub const OVERRIDDEN: u32 = 1 << 9;
/// A bit of [`Header::sinks`]: events are sealed.
pub const SEALED: u32 = 1 << 10;

/// The head of the file.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`]
    pub magic: [u8; 8],
    /// [`VERSION`]
    pub version: U32,
    /// Length of the whole file in bytes.
    pub length: U32,
    /// [`checksum`] of everything after this field.
    pub checksum: U64,
    /// Bit set of sinks ([`crate::Sink::bit`]), and [`EVERY_EVENT`], [`OVERRIDDEN`] and [`SEALED`].
    pub sinks: U32,
    /// The [`crate::Backstop`].
    pub backstop: U32,
    /// Path of the file sink, ending in a NUL byte.
    pub log_file: StringRange,
    /// Byte offset and byte length of each section.
    pub sections: [Range; SECTIONS],
}

impl Header {
    /// Of a policy without a section.
    pub(crate) const fn empty() -> Header {
        const NONE: Range = Range { start: U32::ZERO, len: U32::ZERO };
        Header {
            magic: MAGIC,
            version: U32::ZERO,
            length: U32::ZERO,
            checksum: U64::ZERO,
            sinks: U32::ZERO,
            backstop: U32::ZERO,
            log_file: NONE,
            sections: [NONE; SECTIONS],
        }
    }
}

/// Where a clause of the policy was written.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Clause {
    /// The clause as an event shows it.
    pub text: StringRange,
    /// Its file; empty for what is built in.
    pub file: StringRange,
    /// Its line, from 1; 0 for what is built in.
    pub line: U32,
}

/// A set of addresses with ports: sorted disjoint intervals of v4 and of v6.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AddrSet {
    /// Into [`Section::Net4`].
    pub v4: Range,
    /// Into [`Section::Net6`].
    pub v6: Range,
}

/// The policy of everything, or of one virtual host, complete in itself.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Scope {
    /// The [`crate::Mode`] of each [`crate::Rule`].
    pub modes: [u8; RULES],
    /// Bit set of what makes a program unguarded, by [`crate::exec::reason`].
    pub reasons: U16,
    /// errno of a refused connect.
    pub egress_errno: U16,
    /// errno of a refused exec.
    pub exec_errno: U16,
    /// Wins over everything.
    pub deny: AddrSet,
    /// Allowed destinations.
    pub allow: AddrSet,
    /// Local ranges.
    pub local: AddrSet,
    /// Name servers of resolv.conf, port 53.
    pub resolvers: AddrSet,
    /// Common ports, into [`Section::Ports`].
    pub common: Range,
    /// Ports a datagram socket connects to only to learn its own address, into [`Section::Ports`].
    pub probes: Range,
    /// Shells, into [`Section::Names`].
    pub shells: Range,
    /// Allowed commands, into [`Section::Commands`].
    pub commands: Range,
    /// Allowed destinations by name, into [`Section::Hosts`].
    pub allow_names: Range,
    /// Denied ones.
    pub deny_names: Range,
    /// Metadata services.
    pub metadata: AddrSet,
    /// Places of programs: paths, and words for what is no path; into [`Section::Names`].
    pub places: Range,
    /// Those of them in which a program is refused although the rule only audits, likewise.
    pub enforced_places: Range,
    /// Tools, with a `*` at the end of some; into [`Section::Names`].
    pub tools: Range,
    /// What a loader's variable may say, into [`Section::Names`].
    pub libraries: Range,
    /// Ports that may be opened, into [`Section::Ports`].
    pub listen: Range,
    /// PHP settings that a request may bring, into [`Section::Names`].
    pub settings: Range,
    /// Programs that may run without the library: paths, perhaps with globs; into [`Section::Names`].
    pub unguarded: Range,
    /// Programs that may make or enter a namespace, likewise.
    pub namespaces: Range,
    /// For each [`crate::Rule`], the clause that fires where nothing more particular does.
    pub defaults: [U32; RULES],
    /// For each [`crate::Rule`], the sentence that its events carry; may be empty.
    pub why: [StringRange; RULES],
}

impl Scope {
    /// Every rule audits, and every list is empty.
    pub(crate) const fn audit() -> Scope {
        const NONE: Range = Range { start: U32::ZERO, len: U32::ZERO };
        const EMPTY: AddrSet = AddrSet { v4: NONE, v6: NONE };
        Scope {
            modes: [crate::Mode::Audit as u8; RULES],
            reasons: U16::MAX_VALUE,
            egress_errno: U16::ZERO,
            exec_errno: U16::ZERO,
            deny: EMPTY,
            allow: EMPTY,
            local: EMPTY,
            resolvers: EMPTY,
            common: NONE,
            probes: NONE,
            shells: NONE,
            commands: NONE,
            allow_names: NONE,
            deny_names: NONE,
            metadata: EMPTY,
            places: NONE,
            enforced_places: NONE,
            tools: NONE,
            libraries: NONE,
            listen: NONE,
            settings: NONE,
            unguarded: NONE,
            namespaces: NONE,
            defaults: [U32::ZERO; RULES],
            why: [NONE; RULES],
        }
    }
}

/// A virtual host.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Vhost {
    /// Its name.
    pub name: StringRange,
    /// Into [`Section::Scopes`].
    pub scope: U32,
    /// Where it is written, into [`Section::Clauses`].
    pub clause: U32,
    /// Bit set of who is believed about a server's name, by the numbers of the sources of a request.
    pub believed: U32,
    /// Alternatives in [`Section::Tokens`], none where the key is not in the match; in lower case, perhaps with globs.
    pub server_name: Range,
    /// The same: absolute paths.
    pub document_root: Range,
    /// The same: absolute paths.
    pub script: Range,
    /// The same.
    pub pool: Range,
    /// The same.
    pub profile: Range,
}

/// A virtual host in the hash table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// [`crate::vhost::key_hash`]
    pub hash: U64,
    /// Into [`Section::Vhosts`].
    pub vhost: U32,
}

/// A host's name in `allow` or `deny`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Host {
    /// [`crate::vhost::key_hash`] of the text: a name, or what follows the `*` of a wildcard, from its dot on.
    pub hash: U64,
    /// The text.
    pub text: StringRange,
    /// First port.
    pub low: U16,
    /// Last port.
    pub high: U16,
    /// Into [`Section::Clauses`].
    pub clause: U32,
}

/// An instruction of the backstop's filter: `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: U16,
    /// How far to jump where it holds.
    pub jt: u8,
    /// How far where it does not.
    pub jf: u8,
    /// Its constant.
    pub k: U32,
}

/// An interval of v4 addresses, up to the next record's start.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Net4 {
    /// First address.
    pub start: U32,
    /// Its ports, into [`Section::Ports`]; empty for a gap.
    pub ports: Range,
}

/// An interval of v6 addresses, up to the next record's start.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Net6 {
    /// First address.
    pub start: U128,
    /// Its ports, into [`Section::Ports`]; empty for a gap.
    pub ports: Range,
}

/// An interval of ports with the clause it comes from; disjoint and sorted within a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ports {
    /// First port.
    pub low: U16,
    /// Last port.
    pub high: U16,
    /// Into [`Section::Clauses`].
    pub clause: U32,
}

/// A program's name with the clause it comes from.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ProgramEntry {
    /// The name.
    pub text: StringRange,
    /// Into [`Section::Clauses`].
    pub clause: U32,
}

/// An allowed command: patterns, one a token.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Command {
    /// [`crate::command::token_hash`] of the first token, 0 where that has a glob.
    pub hash: U64,
    /// Into [`Section::Tokens`].
    pub tokens: Range,
    /// Into [`Section::Clauses`].
    pub clause: U32,
}

/// A file that the policy was compiled from.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Source {
    /// Its path, ending in a NUL byte.
    pub path: StringRange,
    /// [`crate::place::source_mark`]; [`crate::place::NO_SOURCE`] where the file did not exist.
    pub mark: I64,
    /// Size in bytes.
    pub size: U64,
}

/// The file of a shell, a multi-call program or a dynamic loader on this system; one record for each name that it has.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Image {
    /// Its device.
    pub device: U64,
    /// Its inode.
    pub inode: U64,
    /// The beginning of its build-id.
    pub build_id: [u8; crate::image::BUILD_ID_MAX],
    /// How many bytes of that there are; 0 where it has no build-id.
    pub length: u8,
    /// The [`crate::image::Kind`].
    pub kind: u8,
    /// The name under which it lies in a system folder.
    pub name: StringRange,
    /// Into [`Section::Clauses`].
    pub clause: U32,
}

/// The checksum of a compiled policy: a multiply-and-rotate over 8-byte words. It finds damage, not forgery; who may
/// write the file is what protects against that.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = <[u8; 8]>::try_from(chunk).map_or(0, u64::from_le_bytes);
        hash = (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    }
    for &byte in chunks.remainder() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(MULTIPLIER).rotate_left(29);
    }
    hash
}

/// What stands in the filter for halves of numbers that the guard chooses when it loads it: the low half, the high half.
pub mod placeholder {
    /// The secret that the hooks' calls carry in an argument that the kernel does not look at.
    pub const SECRET: [u32; 2] = [0x5ec2_e701, 0x5ec2_e702];
    /// The first address of the room (`super::room`), as far as the mask has it.
    pub const ROOM: [u32; 2] = [0x0004_0008, 0x2004_0000];
    /// What a `return` says where the call is the backstop's: SECCOMP_RET_LOG.
    pub const ACTION: u32 = 0x7ffc_0000;
    /// What one says where a supervisor is to know of the call, and nobody else: SECCOMP_RET_ALLOW, with data that Linux does
    /// not look at.
    pub const NOTE: u32 = 0x7fff_0001;
}

/// The room for the environments of programs that libc spawns: places, each of which begins a stride behind the one before.
/// The filter knows them by the bits of their addresses that all of them have in common.
pub mod room {
    /// Bytes from one place to the next: more than the largest environment that Linux accepts.
    pub const STRIDE: usize = 1 << 23;
    /// How many places there are, a power of two.
    pub const PLACES: usize = 1 << 14;
    /// The bits that the addresses of all places have in common.
    pub const MASK: u64 = !(((PLACES - 1) * STRIDE) as u64);
}
