//! The order of the rooms of src/: which module may import which. A room imports only rooms that stand before it in this list, and
//! of these only those that it names: so a change stays in its room, and no room is entered through a circle.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import. The lowest is the first.
const ROOMS: [(&str, &[&str]); 13] = [
    ("memory", &[]),
    ("sys", &["memory"]),
    ("process", &["memory", "sys"]),
    ("policy", &["memory", "process", "sys"]),
    ("server", &["memory", "policy", "process", "sys"]),
    ("request", &["memory", "policy", "process", "server", "sys"]),
    ("action", &["memory", "process", "sys"]),
    ("report", &["action", "memory", "policy", "process", "request", "sys"]),
    ("child", &["action", "memory", "policy", "process", "report", "request", "server", "sys"]),
    ("judge", &["action", "child", "memory", "policy", "process", "report", "request", "server", "sys"]),
    ("real", &["memory", "process", "sys"]),
    ("backstop", &["action", "child", "judge", "memory", "policy", "process", "report", "request", "server", "sys"]),
    (
        "hooks",
        &[
            "action", "backstop", "child", "judge", "memory", "policy", "process", "real", "report", "request",
            "server", "sys",
        ],
    ),
];

/// What lib.rs gives to lower rooms, and the rooms that may take it: a hook may be called before the constructor, which is the
/// highest room's.
const OF_ROOT: (&str, [&str; 2]) = ("ENSURE", ["process", "real"]);

#[test]
fn rooms_import_no_room_above_them() {
    for (at, (room, may)) in ROOMS.iter().enumerate() {
        for import in *may {
            assert!(
                ROOMS[..at].iter().any(|(below, _)| below == import),
                "{room} may not import {import}: it is above"
            );
        }
    }
    let (mut rooms, mut used) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for file in sources() {
        let place = file.strip_prefix(source()).expect("below src");
        let parts: Vec<_> = place.iter().map(|part| part.to_str().expect("UTF-8")).collect();
        let [room, inner @ ..] = parts.as_slice() else { unreachable!("a path has a part") };
        if inner.is_empty() {
            assert_eq!(*room, "lib.rs", "a module of src/ has a room");
            continue;
        }
        let (_, may) = ROOMS.iter().find(|(name, _)| name == room).unwrap_or_else(|| panic!("{room} is in no order"));
        rooms.insert((*room).to_owned());
        // src/room/mod.rs and src/room/file.rs: `super` leads to the root from a depth of one.
        let depth = if inner.last() == Some(&"mod.rs") { inner.len() } else { inner.len() + 1 };
        let text = std::fs::read_to_string(&file).expect("a source is read");
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{place:?}: {error}"));
        let mut imported = BTreeSet::new();
        imports(tokens, depth, &mut imported);
        for import in imported {
            let is_allowed = match ROOMS.iter().any(|(name, _)| *name == import) {
                true => import == *room || may.contains(&import.as_str()),
                false => import == OF_ROOT.0 && OF_ROOT.1.contains(room),
            };
            assert!(
                is_allowed,
                "src/{} imports crate::{import}, which the order of the rooms forbids",
                place.display()
            );
            used.entry((*room).to_owned()).or_default().insert(import);
        }
    }
    for (room, may) in ROOMS {
        assert!(rooms.contains(room), "src/{room}/ is not there");
        for import in may {
            assert!(used[room].contains(*import), "{room} does not import {import}, and need not be allowed to");
        }
    }
}

/// Only src/sys/arch/ knows the processor: another one is another file there.
#[test]
fn one_room_knows_the_architecture() {
    for file in sources().into_iter().filter(|file| !file.starts_with(source().join("sys/arch"))) {
        let text = std::fs::read_to_string(&file).expect("a source is read");
        for word in ["target_arch", "asm!"] {
            assert!(!text.contains(word), "{} has {word}", file.display());
        }
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![source()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder is read").flatten() {
            let path = entry.path();
            match path.extension() {
                None if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// The names behind `crate::`, or behind as many `super::` as lead to the root, in tokens of a module of that depth; not in its
/// tests, which may look at every room.
fn imports(tokens: TokenStream, depth: usize, into: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let is_path = |at: usize| {
        let is_colon =
            |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
        is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))
    };
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let mut behind = None;
        if word(at) == "crate" && is_path(at + 1) {
            behind = Some(at + 3);
        } else if word(at) == "super" {
            let mut up = 1;
            while is_path(at + 1) && word(at + 3) == "super" {
                (at, up) = (at + 3, up + 1);
            }
            behind = (up >= depth && is_path(at + 1)).then_some(at + 3);
        }
        match (behind, token) {
            (Some(next), _) => {
                match tokens.get(next) {
                    Some(TokenTree::Ident(name)) => drop(into.insert(name.to_string())),
                    Some(TokenTree::Group(group)) => firsts(group.stream(), into),
                    _ => panic!("nothing is named behind `crate::`"),
                }
                at = next + 1;
                continue;
            }
            (None, TokenTree::Group(group)) => {
                let is_module = at >= 2 && word(at - 2) == "mod" && group.delimiter() == Delimiter::Brace;
                if !(is_module && word(at - 1) == "tests") {
                    imports(group.stream(), depth + usize::from(is_module), into);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The first names in a list of imports.
fn firsts(tokens: TokenStream, into: &mut BTreeSet<String>) {
    let mut is_first = true;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if is_first => {
                into.insert(name.to_string());
                is_first = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ',' => is_first = true,
            _ => {}
        }
    }
}
