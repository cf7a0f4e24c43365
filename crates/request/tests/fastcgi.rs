//! The decoder under any split of any valid stream, under malformed ones, and under any bytes at all.

use portcullis_request::fastcgi::{Decoder, Reader};
use portcullis_request::{Field, Request, Source, State, wire};
use proptest::collection::vec;
use proptest::prelude::*;

const BEGIN: u8 = 1;
const ABORT: u8 = 2;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let [id1, id0] = id.to_be_bytes();
    let [len1, len0] = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    let mut out = vec![1, kind, id1, id0, len1, len0, padding, 0];
    out.extend(content);
    out.extend(std::iter::repeat_n(0xee, usize::from(padding)));
    out
}

fn length(len: usize, long: bool) -> Vec<u8> {
    match u8::try_from(len) {
        Ok(len @ 0..=127) if !long => vec![len],
        _ => (u32::try_from(len).expect("a length") | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

fn pairs(params: &[(String, Vec<u8>)], long: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in params {
        out.extend(length(name.len(), long));
        out.extend(length(value.len(), long));
        out.extend(name.as_bytes());
        out.extend(value);
    }
    out
}

/// A whole request: its parameters in records of at most `size` bytes.
fn request(params: &[(String, Vec<u8>)], size: usize, padding: u8, long: bool, body: &[u8]) -> Vec<u8> {
    let mut out = record(BEGIN, 1, &[0, 1, 1, 0, 0, 0, 0, 0], 0);
    for chunk in pairs(params, long).chunks(size) {
        out.extend(record(PARAMS, 1, chunk, padding));
    }
    out.extend(record(PARAMS, 1, &[], 0));
    for chunk in body.chunks(1000) {
        out.extend(record(STDIN, 1, chunk, padding));
    }
    out.extend(record(STDIN, 1, &[], 0));
    out
}

fn param(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

fn feed(stream: &[u8], pieces: &[usize]) -> Request {
    feed_as(Reader::Other, stream, pieces)
}

fn feed_as(reader: Reader, stream: &[u8], pieces: &[usize]) -> Request {
    let (mut decoder, mut request) = (Decoder::new(reader), Request::none());
    let mut rest = stream;
    for &piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(piece.clamp(1, rest.len()));
        decoder.feed(now, &mut request);
        rest = later;
    }
    request
}

fn known() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names = prop::sample::select(vec![
        "SERVER_NAME",
        "DOCUMENT_ROOT",
        "SCRIPT_FILENAME",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "REMOTE_ADDR",
        "SERVER_SOFTWARE",
        "HTTP_HOST",
        "QUERY_STRING",
        "A_NAME_THAT_IS_LONGER_THAN_ANY_THAT_MATTERS",
        "",
    ]);
    (names, vec(any::<u8>(), 0..300)).prop_map(|(name, value)| (name.to_owned(), value))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_any_valid_stream_decodes_the_same(
        params in vec(known(), 0..12),
        size in 1_usize..700,
        padding: u8,
        long: bool,
        body in vec(any::<u8>(), 0..3000),
        pieces in vec(1_usize..900, 1..20),
    ) {
        let stream = request(&params, size, padding, long, &body);
        let seen = feed(&stream, &pieces);
        prop_assert_eq!(&seen, &feed(&stream, &[usize::MAX]));
        prop_assert_eq!(&seen, &feed(&stream, &[1]));
        // And as the obvious way has it: the last value of each name.
        let last = |name: &str| {
            let value = params.iter().rev().find(|param| param.0 == name).map(|param| param.1.clone()).unwrap_or_default();
            // A server takes it for a C string.
            value.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
        };
        let mut wanted = Field::<256>::new();
        wanted.set(&last("SERVER_NAME"));
        prop_assert_eq!(seen.server_name.bytes(), wanted.bytes());
        let mut wanted = Field::<1024>::new();
        wanted.set(&last("REQUEST_URI"));
        prop_assert_eq!(seen.uri.bytes(), wanted.bytes());
        prop_assert_eq!(seen.state, State::Known);
    }

    #[test]
    fn any_bytes_at_all(bytes in vec(any::<u8>(), 0..2000), pieces in vec(1_usize..100, 1..10)) {
        feed(&bytes, &pieces);
    }

    #[test]
    fn nearly_valid_bytes(
        params in vec(known(), 0..6),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        pieces in vec(1_usize..100, 1..10),
    ) {
        let mut stream = request(&params, 200, 3, false, b"body");
        for (index, byte) in edits {
            let at = index.index(stream.len());
            stream[at] = byte;
        }
        prop_assert_eq!(feed(&stream, &pieces), feed(&stream, &[usize::MAX]));
    }

    #[test]
    fn what_is_written_for_a_descendant_is_read(params in vec(known(), 0..12)) {
        let params: Vec<_> = params.into_iter().filter(|param| param.1.len() < 200).collect();
        let mut seen = feed(&request(&params, 500, 0, false, b""), &[usize::MAX]);
        let mut text = Vec::new();
        wire::write(&seen, seen.id, |bytes| text.extend_from_slice(bytes));
        prop_assert!(text.len() <= wire::WIRE_MAX);
        prop_assert!(!text.contains(&0));
        let clean = |bytes: &[u8]| bytes.iter().map(|&byte| if byte == 0 { b'?' } else { byte }).collect::<Vec<u8>>();
        let (script, uri) = (clean(seen.script.bytes()), clean(seen.uri.bytes()));
        let read = wire::read(&text).expect("a request");
        prop_assert_eq!(read.script.bytes(), script);
        prop_assert_eq!(read.uri.bytes(), uri);
        prop_assert_eq!((read.state, read.source), (seen.state, seen.source));
        seen.reset(State::None);
        prop_assert_eq!(seen, Request::none());
    }

    #[test]
    fn any_inherited_bytes(text in vec(any::<u8>(), 0..300)) {
        let _ = wire::read(&text);
    }
}

fn shop() -> Vec<(String, Vec<u8>)> {
    vec![
        param("SERVER_NAME", "shop.example"),
        param("SERVER_SOFTWARE", "nginx/1.22.1"),
        param("SCRIPT_FILENAME", "/srv/shop/index.php"),
        param("REQUEST_URI", "/index.php?a=b"),
    ]
}

#[test]
fn a_request_is_unknown_until_its_parameters_are_complete() {
    let stream = request(&shop(), 60, 5, false, b"");
    let (mut decoder, mut request) = (Decoder::new(Reader::Other), Request::none());
    let mut known_at = None;
    for (at, byte) in stream.iter().enumerate() {
        let ready = decoder.feed(&[*byte], &mut request);
        assert_eq!(ready, request.state == State::Known && known_at.is_none());
        if ready {
            known_at = Some(at);
        }
    }
    // The empty STDIN record comes behind the empty PARAMS record.
    assert_eq!(known_at, Some(stream.len() - 8 - 1));
    assert_eq!((request.source, request.server_name.bytes()), (Source::Nginx, &b"shop.example"[..]));
}

#[test]
fn the_next_request_of_a_kept_connection_replaces_the_last() {
    let (mut decoder, mut seen) = (Decoder::new(Reader::Other), Request::none());
    decoder.feed(&request(&shop(), 1000, 0, false, b"body"), &mut seen);
    assert_eq!(seen.server_name.bytes(), b"shop.example");
    let next = request(&[param("REQUEST_METHOD", "GET")], 1000, 0, false, b"");
    decoder.feed(&next[..20], &mut seen);
    assert_eq!((seen.state, seen.server_name.bytes()), (State::Unknown, &b""[..]), "never the previous one");
    decoder.feed(&next[20..], &mut seen);
    assert_eq!((seen.state, seen.method.bytes(), seen.server_name.bytes()), (State::Known, &b"GET"[..], &b""[..]));
}

#[test]
fn an_abort_ends_nothing_and_what_is_malformed_is_unknown() {
    let good = request(&shop(), 1000, 0, false, b"");
    let mut aborted = good.clone();
    aborted.extend(record(ABORT, 1, &[], 0));
    assert_eq!(feed(&aborted, &[7]).state, State::Known);
    let begin = record(BEGIN, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 0);
    let with = |records: &[Vec<u8>]| [begin.clone(), records.concat()].concat();
    for (what, stream) in [
        ("another version", [good.clone(), vec![2; 16]].concat()),
        ("parameters without a beginning", record(PARAMS, 1, &pairs(&shop(), false), 0)),
        ("parameters of another id", with(&[record(PARAMS, 2, &pairs(&shop(), false), 0)])),
        ("parameters after their end", [good.clone(), record(PARAMS, 1, &pairs(&shop(), false), 0)].concat()),
        ("a beginning of another length", record(BEGIN, 1, &[0; 4], 0)),
        ("an end within a pair", with(&[record(PARAMS, 1, &[4, 4, b'N'], 0), record(PARAMS, 1, &[], 0)])),
        ("an end within a length", with(&[record(PARAMS, 1, &[0x80, 0], 0), record(PARAMS, 1, &[], 0)])),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n".to_vec()),
    ] {
        let seen = feed(&stream, &[5]);
        assert_eq!((seen.state, seen.server_name.bytes()), (State::Unknown, &b""[..]), "{what}");
    }
}

#[test]
fn what_is_too_long_is_cut_and_half_a_path_is_none() {
    let long = vec![param("SCRIPT_FILENAME", &"/x".repeat(400)), param("REQUEST_URI", &"u".repeat(64 * 1024))];
    let seen = feed(&request(&long, 60_000, 0, false, b""), &[usize::MAX]);
    assert_eq!(seen.state, State::Known);
    assert_eq!((seen.script.whole(), seen.script.bytes().len(), seen.uri.bytes().len()), (&b""[..], 512, 1024));
}

#[test]
fn what_apaches_proxy_sends() {
    let params = vec![
        param("SERVER_SOFTWARE", "Apache/2.4.71 (Debian)"),
        param("SCRIPT_FILENAME", "proxy:fcgi://localhost/srv/shop/index.php"),
    ];
    let seen = feed(&request(&params, 16_000, 0, true, b""), &[usize::MAX]);
    assert_eq!((seen.source, seen.script.bytes()), (Source::Apache, &b"/srv/shop/index.php"[..]));
}

/// What PHP-FPM (main/fastcgi.c) reads as a request of the shop, though it is framed as no server frames it.
#[test]
fn php_fpm_is_read_as_it_reads() {
    let begin = record(BEGIN, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 0);
    let params = record(PARAMS, 1, &pairs(&shop(), false), 0);
    let (end, stdin) = (record(PARAMS, 1, &[], 0), record(STDIN, 1, &[], 0));
    let versioned = |version: u8, mut record: Vec<u8>| {
        record[0] = version;
        record
    };
    let good = [begin.clone(), params.clone(), end.clone(), stdin.clone()].concat();
    for (what, stream) in [
        ("a good one", good.clone()),
        ("another version", [&begin, &params, &end, &stdin].map(|part| versioned(7, part.clone())).concat()),
        ("another id", [begin.clone(), record(PARAMS, 9, &pairs(&shop(), false), 0), end.clone()].concat()),
        (
            "id 0",
            [record(BEGIN, 0, &[0, 1, 0, 0, 0, 0, 0, 0], 0), record(PARAMS, 0, &pairs(&shop(), false), 0), end.clone()]
                .concat(),
        ),
        ("no end of the parameters", [begin.clone(), params.clone(), stdin.clone()].concat()),
        ("an abort", [begin.clone(), params.clone(), record(ABORT, 1, &[], 0)].concat()),
        ("parameters behind the input", [good.clone(), params.clone()].concat()[..good.len()].to_vec()),
        ("input before the beginning", [stdin.clone(), stdin.clone(), good.clone()].concat()),
        (
            "values asked for first",
            [record(9, 0, &pairs(&[param("FCGI_MAX_CONNS", "")], false), 3), good.clone()].concat(),
        ),
        (
            "padding everywhere",
            [
                record(BEGIN, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 255),
                record(PARAMS, 1, &pairs(&shop(), true), 255),
                end.clone(),
            ]
            .concat(),
        ),
        ("an authorizer", [record(BEGIN, 1, &[0, 2, 0, 0, 0, 0, 0, 0], 0), params.clone(), end.clone()].concat()),
        (
            "a kept connection with another id",
            [
                good.clone(),
                good.iter().enumerate().map(|(at, byte)| if at % 8 == 3 && at < 8 { 5 } else { *byte }).collect(),
            ]
            .concat(),
        ),
        (
            "a NUL in a value",
            [
                begin.clone(),
                record(
                    PARAMS,
                    1,
                    &pairs(
                        &[param("SERVER_NAME", "shop.example\0x"), param("SCRIPT_FILENAME", "/srv/shop/index.php\0")],
                        false,
                    ),
                    0,
                ),
                end.clone(),
            ]
            .concat(),
        ),
    ] {
        for piece in [1, 3, usize::MAX] {
            let seen = feed_as(Reader::PhpFpm, &stream, &[piece]);
            assert_eq!((seen.state, seen.server_name.bytes()), (State::Known, &b"shop.example"[..]), "{what}");
        }
    }
    // What it closes the connection for.
    for (what, stream) in [
        ("version 0", [begin.clone(), versioned(0, params.clone())].concat()),
        ("no role", [record(BEGIN, 1, &[0, 4, 0, 0, 0, 0, 0, 0], 0), params.clone(), end.clone()].concat()),
        (
            "a pair in two records",
            [begin.clone(), record(PARAMS, 1, &[4, 4, b'N'], 0), params.clone(), end.clone()].concat(),
        ),
    ] {
        assert_eq!(feed_as(Reader::PhpFpm, &stream, &[usize::MAX]).state, State::Unknown, "{what}");
    }
}

/// The script of a first request leaves a part of its body, in which a second one is hidden: PHP-FPM reads that.
#[test]
fn a_body_that_is_left_may_hold_the_next_request() {
    let hidden = request(&[param("SERVER_NAME", "hidden.example")], 1000, 0, false, b"");
    let body = [&[b'x'; 20][..], &hidden].concat();
    let mut first = shop();
    first.push(param("CONTENT_LENGTH", &body.len().to_string()));
    let stream = request(&first, 1000, 0, false, &body);
    let body_at = stream.len() - 8 - body.len();
    let (mut decoder, mut seen) = (Decoder::new(Reader::PhpFpm), Request::none());
    decoder.feed(&stream[..body_at], &mut seen);
    assert_eq!((seen.state, seen.server_name.bytes()), (State::Known, &b"shop.example"[..]));
    let (read, left) = stream[body_at..].split_at(20);
    decoder.feed_read(read, 20, &mut seen);
    assert_eq!(seen.server_name.bytes(), b"shop.example");
    for chunk in left[..hidden.len()].chunks(8) {
        decoder.feed_read(chunk, 8, &mut seen);
        assert_ne!((seen.state, seen.server_name.bytes()), (State::Known, &b"shop.example"[..]));
    }
    assert_eq!((seen.state, seen.server_name.bytes()), (State::Known, &b"hidden.example"[..]));
    // A body that comes in pieces is one body.
    let (mut decoder, mut seen) = (Decoder::new(Reader::PhpFpm), Request::none());
    decoder.feed(&stream[..body_at], &mut seen);
    let mut at = body_at;
    let mut asked = body.len();
    for piece in [12, body.len() - 12 - 8, 8] {
        decoder.feed_read(&stream[at..at + piece], asked, &mut seen);
        (at, asked) = (at + piece, asked - piece);
        assert_eq!((seen.state, seen.server_name.bytes()), (State::Known, &b"shop.example"[..]));
    }
}

/// What the fuzzer found worth keeping, replayed.
#[test]
fn the_fuzzers_corpus() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus.join("fastcgi")).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        if let Some((piece, stream)) = bytes.split_first() {
            assert_eq!(feed(stream, &[usize::from(*piece).max(1)]), feed(stream, &[usize::MAX]));
        }
        count += 1;
    }
    for entry in std::fs::read_dir(corpus.join("inherited")).expect("the corpus") {
        let _ = wire::read(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count > 20);
}
