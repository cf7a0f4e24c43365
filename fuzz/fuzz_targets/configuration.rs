//! A configuration of any text: errors with a place in it, or a policy that is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::Policy;
use std::path::Path;

fuzz_target!(|text: &str| {
    let loaded = portcullis_config::parse_text(Path::new("/etc/portcullis/portcullis.toml"), text);
    for diagnostic in &loaded.diagnostics {
        assert!(diagnostic.span.start <= text.len(), "{diagnostic:?}");
        let _ = diagnostic.render(false);
    }
    if loaded.usable() {
        let bytes = portcullis_config::compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("what was compiled is accepted");
        let _ = policy.sources().count();
    }
});
