//! Any environment, its entries behind one another: what is taken from it is there, what a program inherits is read or
//! refused, and is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_request::context;
use portcullis_policy::startup::{loads, may_load};
use portcullis_request::environment::{CONTEXT, PRELOAD, Variables, libraries};

fuzz_target!(|data: &[u8]| {
    let entries = || data.split(|&byte| byte == 0);
    let (mut variables, mut few) = (Variables::default(), Variables::default());
    entries().for_each(|entry| variables.take(entry));
    entries()
        .filter(|entry| entry.first().is_some_and(|&first| Variables::may_begin(first)))
        .for_each(|entry| few.take(entry));
    assert_eq!(variables, few, "an entry that begins otherwise was taken");
    let first = |name: &[u8]| entries().find_map(|entry| entry.strip_prefix(name));
    assert_eq!(variables.context, first(CONTEXT));
    for entry in entries().filter(|entry| loads(entry).is_some()) {
        assert!(may_load(entry[0], entry[1]), "an entry that loads code was passed by");
    }
    if let Some(value) = first(PRELOAD) {
        let bytes: usize = libraries(value).map(<[u8]>::len).sum();
        assert_eq!(bytes, value.iter().filter(|byte| !b": ".contains(byte)).count());
    }
    if let Some(inherited) = variables.context.and_then(context::parse) {
        let mut text = Vec::new();
        context::write(&inherited, |bytes| text.extend_from_slice(bytes));
        assert_eq!(context::parse(&text), Some(inherited));
    }
});
