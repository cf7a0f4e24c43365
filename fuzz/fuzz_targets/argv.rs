//! A command of a shell, any bytes: words or not simple, and never allowed where it has what a shell would act on.
#![no_main]

mod shell;

use libfuzzer_sys::fuzz_target;
use portcullis_policy::command::{TOKEN_MAX, Tokens, glob};
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::{GLOBAL_SCOPE, Outcome, Policy};
use shell::needs_a_shell;
use std::sync::LazyLock;

static DEFAULT: LazyLock<Vec<u8>> = LazyLock::new(|| portcullis_config::compile(&portcullis_config::Config::default()));

fuzz_target!(|data: &[u8]| {
    let (pattern, text) = data.split_at(data.len() / 2);
    let _ = (glob(pattern, text, true), glob(pattern, text, false));
    let mut tokens = Tokens::new(data);
    let mut buffer = [0; TOKEN_MAX];
    while let Some(Ok(token)) = tokens.next(&mut buffer) {
        assert!(token.len() <= TOKEN_MAX);
    }
    let policy = Policy::new(&DEFAULT).expect("a policy");
    let names: [&[u8]; 1] = [b"sh"];
    let program =
        ExecutedProgram { names: &names, own_names: 1, command: Some(data), path: b"/bin/sh", ..ExecutedProgram::default() };
    let verdict = policy.decide_exec(GLOBAL_SCOPE, &program);
    if verdict.outcome == Outcome::Allow {
        assert!(!needs_a_shell(data), "{}", String::from_utf8_lossy(data));
    }
});
