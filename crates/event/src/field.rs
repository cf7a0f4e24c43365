//! The fields of an event: one row each. The encoder, docs/fields.csv, and the command that reads events take the names from here.

use crate::{MemberName, name};

/// What a field holds, as an index of events has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A time, in RFC 3339 with nanoseconds, in UTC.
    Date,
    /// A whole number from 0 on.
    Number,
    /// An address of the internet.
    Address,
    /// A word or a name, which is compared as a whole.
    Keyword,
    /// Any string from outside, which is searched by a part of it.
    Wildcard,
    /// A few words for a person.
    Text,
    /// A sentence for a person.
    Sentence,
}

impl Kind {
    /// The type of Elasticsearch and OpenSearch for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Date => "date",
            Kind::Number => "long",
            Kind::Address => "ip",
            Kind::Keyword => "keyword",
            Kind::Wildcard => "wildcard",
            Kind::Text => "text",
            Kind::Sentence => "match_only_text",
        }
    }
}

/// Who gave a field its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Elastic Common Schema, core level.
    EcsCore,
    /// The Elastic Common Schema, extended level.
    EcsExtended,
    /// Portcullis: what ECS has no field for.
    Own,
}

impl Source {
    /// The words for it in docs/fields.csv.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Source::EcsCore => "ecs core",
            Source::EcsExtended => "ecs extended",
            Source::Own => "portcullis",
        }
    }
}

/// A field of an event.
#[derive(Clone, Copy)]
pub struct Field {
    /// Its name, with dots: `process.parent.pid`.
    pub name: &'static str,
    /// Its JSON pointer (RFC 6901): `/process/parent/pid`.
    pub pointer: &'static str,
    /// Its place in [`ALL`].
    pub place: u8,
    /// The last part of its name, for the encoder.
    pub(crate) key: MemberName,
    /// What it holds.
    pub kind: Kind,
    /// Whether it holds a list.
    pub is_list: bool,
    /// Who gave it its name.
    pub source: Source,
}

macro_rules! fields {
    ($($constant:ident = ($($outer:literal)*) $leaf:literal: $count:ident $kind:ident $source:ident;)*) => {
        $(
            #[doc = concat!("`", $($outer, ".",)* $leaf, "`")]
            pub const $constant: Field = Field {
                name: concat!($($outer, ".",)* $leaf),
                pointer: concat!($("/", $outer,)* "/", $leaf),
                place: Place::$constant as u8,
                key: name!($leaf),
                kind: Kind::$kind,
                is_list: fields!(@$count),
                source: Source::$source,
            };
        )*

        /// The places, in the order of [`ALL`].
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Place { $($constant),* }

        /// Every field, in the order of docs/fields.csv.
        pub const ALL: &[Field] = &[$($constant),*];
    };
    (@one) => { false };
    (@many) => { true };
}

fields! {
    TIMESTAMP = () "@timestamp": one  Date EcsCore;
    MESSAGE = () "message": one  Sentence EcsCore;
    ECS_VERSION = ("ecs") "version": one  Keyword EcsCore;
    EVENT_ID = ("event") "id": one  Keyword EcsCore;
    EVENT_KIND = ("event") "kind": one  Keyword EcsCore;
    EVENT_MODULE = ("event") "module": one  Keyword EcsCore;
    EVENT_DATASET = ("event") "dataset": one  Keyword EcsCore;
    EVENT_CATEGORY = ("event") "category": many  Keyword EcsCore;
    EVENT_TYPE = ("event") "type": many  Keyword EcsCore;
    EVENT_ACTION = ("event") "action": one  Keyword EcsCore;
    EVENT_OUTCOME = ("event") "outcome": one  Keyword EcsCore;
    EVENT_SEVERITY = ("event") "severity": one  Number EcsCore;
    EVENT_SEQUENCE = ("event") "sequence": one  Number EcsExtended;
    RULE_ID = ("rule") "id": one  Keyword EcsExtended;
    RULE_NAME = ("rule") "name": one  Keyword EcsExtended;
    THREAT_FRAMEWORK = ("threat") "framework": one  Keyword EcsExtended;
    TECHNIQUE_ID = ("threat" "technique") "id": many  Keyword EcsExtended;
    TECHNIQUE_SUBTECHNIQUE_ID = ("threat" "technique" "subtechnique") "id": many  Keyword EcsExtended;
    DESTINATION_IP = ("destination") "ip": one  Address EcsCore;
    DESTINATION_PORT = ("destination") "port": one  Number EcsCore;
    DESTINATION_DOMAIN = ("destination") "domain": one  Keyword EcsCore;
    SERVER_IP = ("server") "ip": one  Address EcsCore;
    SERVER_PORT = ("server") "port": one  Number EcsCore;
    NETWORK_DIRECTION = ("network") "direction": one  Keyword EcsCore;
    NETWORK_TRANSPORT = ("network") "transport": one  Keyword EcsCore;
    NETWORK_TYPE = ("network") "type": one  Keyword EcsCore;
    PROCESS_PID = ("process") "pid": one  Number EcsCore;
    PROCESS_NAME = ("process") "name": one  Keyword EcsExtended;
    PROCESS_EXECUTABLE = ("process") "executable": one  Keyword EcsExtended;
    PROCESS_WORKING_DIRECTORY = ("process") "working_directory": one  Keyword EcsExtended;
    PROCESS_ARGS = ("process") "args": many  Keyword EcsExtended;
    PROCESS_ARGS_COUNT = ("process") "args_count": one  Number EcsExtended;
    PROCESS_COMMAND_LINE = ("process") "command_line": one  Wildcard EcsExtended;
    PARENT_PID = ("process" "parent") "pid": one  Number EcsCore;
    PARENT_NAME = ("process" "parent") "name": one  Keyword EcsExtended;
    PARENT_EXECUTABLE = ("process" "parent") "executable": one  Keyword EcsExtended;
    PARENT_WORKING_DIRECTORY = ("process" "parent") "working_directory": one  Keyword EcsExtended;
    PARENT_ARGS = ("process" "parent") "args": many  Keyword EcsExtended;
    PARENT_ARGS_COUNT = ("process" "parent") "args_count": one  Number EcsExtended;
    PARENT_COMMAND_LINE = ("process" "parent") "command_line": one  Wildcard EcsExtended;
    USER_ID = ("user") "id": one  Keyword EcsCore;
    USER_NAME = ("user") "name": one  Keyword EcsCore;
    CLIENT_ADDRESS = ("client") "address": one  Keyword EcsExtended;
    CLIENT_IP = ("client") "ip": one  Address EcsCore;
    HTTP_REQUEST_ID = ("http" "request") "id": one  Keyword EcsExtended;
    HTTP_REQUEST_METHOD = ("http" "request") "method": one  Keyword EcsExtended;
    URL_ORIGINAL = ("url") "original": one  Wildcard EcsExtended;
    URL_DOMAIN = ("url") "domain": one  Keyword EcsExtended;
    HOST_HOSTNAME = ("host") "hostname": one  Keyword EcsCore;
    HOST_OS_TYPE = ("host" "os") "type": one  Keyword EcsExtended;
    MODE = ("portcullis") "mode": one  Keyword Own;
    ROLE = ("portcullis") "role": one  Keyword Own;
    CHAIN = ("portcullis") "chain": one  Wildcard Own;
    REQUEST_STATE = ("portcullis" "request") "state": one  Keyword Own;
    REQUEST_SOURCE = ("portcullis" "request") "source": one  Keyword Own;
    REQUEST_SCRIPT = ("portcullis" "request") "script": one  Keyword Own;
    REQUEST_DOCUMENT_ROOT = ("portcullis" "request") "document_root": one  Keyword Own;
    REQUEST_POOL = ("portcullis" "request") "pool": one  Keyword Own;
    REQUEST_PROFILE = ("portcullis" "request") "profile": one  Keyword Own;
    VHOST = ("portcullis") "vhost": one  Keyword Own;
    WHY = ("portcullis") "why": one  Text Own;
    CLAUSE = ("portcullis") "clause": one  Keyword Own;
    ALSO = ("portcullis") "also": many  Keyword Own;
    DETAIL = ("portcullis") "detail": one  Wildcard Own;
    UNGUARDED = ("portcullis") "unguarded": one  Keyword Own;
    UNKNOWN = ("portcullis") "unknown": one  Keyword Own;
    LAYER = ("portcullis") "layer": one  Keyword Own;
    CLAUSE_SOURCE = ("portcullis") "clause_source": one  Keyword Own;
    STREAM = ("portcullis") "stream": one  Keyword Own;
    DROPPED = ("portcullis") "dropped": one  Number Own;
    MERGED = ("portcullis") "merged": one  Number Own;
    SEAL_TREE = ("portcullis" "seal") "tree": one  Keyword Own;
    SEAL_PROCESS = ("portcullis" "seal") "process": one  Keyword Own;
    SEAL_INDEX = ("portcullis" "seal") "index": one  Number Own;
    SEAL_LOST = ("portcullis" "seal") "lost": one  Number Own;
    SEAL_DIGEST = ("portcullis" "seal") "digest": one  Keyword Own;
    REPEATED = ("portcullis") "repeated": one  Number Own;
    LIKE = ("portcullis") "like": one  Keyword Own;
}
