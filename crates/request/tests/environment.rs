//! What a program inherits: any environment, and whatever the guard writes is read as it was.

use portcullis_request::context::{self, Finds, HANDED, Handed, Inherited, Role, Tree};
use portcullis_request::environment::{CONTEXT, Variables};
use proptest::collection::vec;
use proptest::prelude::*;

fn written(inherited: &Inherited<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    context::write(inherited, |bytes| text.extend_from_slice(bytes));
    text
}

/// Reads the context of an environment, and holds it against what is written from it.
fn read(environment: &[u8]) -> bool {
    let mut variables = Variables::default();
    environment.split(|&byte| byte == 0).for_each(|entry| variables.take(entry));
    match variables.context.and_then(context::parse) {
        Some(inherited) => {
            assert_eq!(context::parse(&written(&inherited)), Some(inherited));
            true
        }
        None => false,
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Master), Just(Role::Serving), Just(Role::Descendant)]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (role, finds, injected, reported, tried) in (role(), 0..3_u8, any::<bool>(), any::<u8>(), any::<u64>()),
        (stderr, image) in any::<((u64, u64), (u64, u64))>(),
        handed in any::<Handed>(),
        policy in "[^;\0]{0,40}",
        chain in vec(any::<u8>(), 0..80),
        has_tree in any::<bool>(),
        (modes, pools, log) in ("[012]{0,12}", "([0-9]{1,5}(,[0-9]{1,5}){0,3})?", "[^;\0]{0,40}"),
        (sinks, file, digest, home) in any::<(u32, [u64; 3], u64, [u64; 4])>(),
    ) {
        let (policy, chain) = (policy.as_bytes(), &chain[..]);
        let tree = Tree { modes: modes.as_bytes(), sinks, file, digest, home, pools: pools.as_bytes(), log: log.as_bytes() };
        let tree = has_tree.then_some(tree);
        // Only a descendant finds anything.
        let finds = match (role, finds) {
            (Role::Descendant, 1) => Finds::Interpreter,
            (Role::Descendant, 2) => Finds::Shell,
            _ => Finds::Nothing,
        };
        // Only a tree's variable has it.
        let image = if has_tree { image } else { (0, 0) };
        let handed = if has_tree { handed } else { [[0; 3]; HANDED] };
        let inherited = Inherited { role, finds, tree, handed, injected, reported, tried, stderr, image, policy, chain };
        let text = written(&inherited);
        prop_assert_eq!(context::parse(&text), Some(inherited));
    }

    #[test]
    fn any_context(value in "[123];[msdefx];[01x];[0-9:;/a]{0,60}") {
        read(&[CONTEXT, value.as_bytes()].concat());
    }

    #[test]
    fn any_environment(bytes in vec(any::<u8>(), 0..300)) {
        read(&bytes);
    }
}

/// What the fuzzer found worth keeping, replayed.
#[test]
fn the_fuzzers_corpus() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/environment");
    let files = std::fs::read_dir(corpus).expect("the corpus");
    let read = files.map(|entry| read(&std::fs::read(entry.expect("an entry").path()).expect("a file")));
    assert!(read.filter(|&is_context| is_context).count() > 2);
}

/// A server that was started with an earlier library may have an entry fewer: it is none.
#[test]
fn an_earlier_version_hands_down_fewer_descriptors() {
    let tree = "111:1:2:3:4:5:6:7:8:9:10::";
    let of = |version: &str, handed: &str| format!("{version};d;{tree};{handed};0:0;1;0;0;8:9;;sh").into_bytes();
    let (earlier, now) = (of("3", "1:2:3:4:5:6:7:8:9:10:11:12"), of("4", "1:2:3:4:5:6:7:8:9:10:11:12:13:14:15"));
    let first = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
    for (text, last) in [(earlier, [0; 3]), (now, [13, 14, 15])] {
        let inherited = context::parse(&text).expect("a context");
        assert_eq!(inherited.handed[..4], first);
        assert_eq!(inherited.handed[4], last);
    }
    assert!(context::parse(&of("4", "1:2:3:4:5:6:7:8:9:10:11:12")).is_none());
}
