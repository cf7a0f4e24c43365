//! Any bytes in any pieces: the pieces make no difference. The first byte says how long they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_request::Request;
use portcullis_request::fastcgi::{Decoder, Reader};

fn feed(stream: &[u8], piece: usize) -> Request {
    let (mut decoder, mut request) = (Decoder::new(Reader::Other), Request::none());
    for part in stream.chunks(piece) {
        decoder.feed(part, &mut request);
    }
    request
}

fuzz_target!(|data: &[u8]| {
    if let Some((piece, stream)) = data.split_first() {
        assert_eq!(feed(stream, usize::from(*piece).max(1)), feed(stream, usize::MAX));
    }
});
