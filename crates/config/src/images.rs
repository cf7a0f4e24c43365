//! Finds the files of the configured shells and tools, of multi-call programs and of dynamic loaders on this system.
//!
//! Each is a source of the policy too: where a package replaces one, the policy is compiled anew at the next reload.

use crate::load::note;
use crate::model::{Config, From, ImageFile, Origin};
use crate::read::defaults;
use crate::reading::{self, Links};
use portcullis_policy::exec::is_tool;
use portcullis_policy::image::{Kind, build_id};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders of the system in which shells lie.
const FOLDERS: [&str; 8] = [
    "bin",
    "usr/bin",
    "sbin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/sbin",
    // Where Debian puts klibc's sh and another busybox.
    "usr/lib/klibc/bin",
    "usr/lib/initramfs-tools/bin",
];
/// Folders in which dynamic loaders lie; beside them, those of each architecture in them.
const LOADER_FOLDERS: [&str; 8] =
    ["lib", "lib64", "lib32", "libx32", "usr/lib", "usr/lib64", "usr/lib32", "usr/libx32"];
/// How the names of dynamic loaders begin: glibc's on all architectures, musl's, uClibc's.
const LOADERS: [&str; 6] = ["ld-linux", "ld-musl", "ld-uClibc", "ld-2.", "ld.so.", "ld64.so."];
/// Programs of many applets; busybox-static and the like begin so too.
const APPLETS: [&str; 2] = ["busybox", "toybox"];
/// Programs of many applets of which not every applet is a shell or a tool: the names of a shell or tool may lead to one.
const MANY: [&str; 3] = ["busybox", "toybox", "coreutils"];
/// As much of a file as its program headers and the notes behind them take.
const HEAD: u64 = 4096;

/// Puts the files under `root` into `config`.
pub(crate) fn find(root: &Path, config: &mut Config) {
    let folders: BTreeSet<PathBuf> =
        FOLDERS.iter().filter_map(|folder| root.join(folder).canonicalize().ok()).collect();
    for (name, origin) in shells(config) {
        for folder in &folders {
            add(&folder.join(&name), &name, None, origin.clone(), config);
        }
    }
    for folder in &folders {
        for file in beginning_with(folder, &APPLETS) {
            add(&file, &name_of(&file), Some(Kind::Applets), built_in("multi-call program", &file), config);
        }
    }
    let mut loaders: BTreeSet<PathBuf> = BTreeSet::new();
    for folder in LOADER_FOLDERS.iter().filter_map(|folder| root.join(folder).canonicalize().ok()) {
        loaders.extend(beginning_with(&folder, &LOADERS));
        for inner in beginning_with(&folder, &[""]).filter(|inner| name_of(inner).contains("-linux-")) {
            loaders.extend(beginning_with(&inner, &LOADERS));
        }
    }
    for file in loaders {
        add(&file, &name_of(&file), Some(Kind::Loader), built_in("dynamic loader", &file), config);
    }
    find_tools(&folders, config);
}

/// Puts the files of the tools into `config`, behind the others: what else a file is goes before. Where a tool's name leads to a program of
/// many applets, its name alone says what it is.
fn find_tools(folders: &BTreeSet<PathBuf>, config: &mut Config) {
    let file_of = |path: &Path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    let many: BTreeSet<(u64, u64)> = folders
        .iter()
        .flat_map(|folder| beginning_with(folder, &MANY))
        .filter_map(|path| file_of(&path).map(|meta| (meta.dev(), meta.ino())))
        .collect();
    let tools = tools(config);
    for file in folders.iter().flat_map(|folder| beginning_with(folder, &[""])) {
        let name = name_of(&file);
        let Some(meta) = file_of(&file) else { continue };
        let Some((_, origin)) = tools.iter().find(|(entry, _)| is_tool(entry.as_bytes(), name.as_bytes())) else {
            continue;
        };
        let real = file.canonicalize().map(|real| name_of(&real)).unwrap_or_default();
        let is_of_many = many.contains(&(meta.dev(), meta.ino())) || MANY.iter().any(|start| real.starts_with(start));
        // A script is known by its name alone.
        let head = reading::head(&file, Links::Follow, 4).unwrap_or_default();
        if !is_of_many && head == b"\x7fELF" {
            add(&file, &name, Some(Kind::Tool), origin.clone(), config);
        }
    }
}

/// The tools of all scopes, likewise.
fn tools(config: &Config) -> BTreeMap<String, Origin> {
    let global = config.global.tools.clone().unwrap_or_else(defaults::default_tools);
    let others = config.vhosts.iter().filter_map(|vhost| vhost.scope.tools.clone()).flatten();
    let mut all = BTreeMap::new();
    for From { value, origin } in global.into_iter().chain(others) {
        all.entry(value).or_insert(origin);
    }
    all
}

/// The shells of all scopes, each with the first entry that names it.
fn shells(config: &Config) -> BTreeMap<String, Origin> {
    let global = config.global.shells.clone().unwrap_or_else(defaults::default_shells);
    let others = config.vhosts.iter().filter_map(|vhost| vhost.scope.shells.clone()).flatten();
    let mut all = BTreeMap::new();
    for From { value, origin } in global.into_iter().chain(others) {
        all.entry(value).or_insert(origin);
    }
    all
}

fn built_in(what: &str, file: &Path) -> Origin {
    Origin { text: format!("{what} {}", file.display()), file: None, line: 0 }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of a folder whose names begin so, in order.
fn beginning_with(folder: &Path, beginnings: &[&str]) -> impl Iterator<Item = PathBuf> + use<> {
    let entries =
        reading::entries(folder, reading::ENTRIES_MAX).unwrap_or_default().into_iter().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| beginnings.iter().any(|beginning| name_of(path).starts_with(beginning))).collect();
    found.sort();
    found.into_iter()
}

/// Adds the file at `path`, where there is one; what the name of a shell leads to may have many applets instead.
fn add(path: &Path, name: &str, kind: Option<Kind>, origin: Origin, config: &mut Config) {
    let Ok(meta) = std::fs::metadata(path) else { return };
    if !meta.is_file() {
        return;
    }
    let real = path.canonicalize().map(|real| name_of(&real)).unwrap_or_default();
    let has_applets = APPLETS.iter().any(|applets| real.starts_with(applets));
    let kind = kind.unwrap_or(if has_applets { Kind::Applets } else { Kind::Shell });
    // One that cannot be read is known by device and inode.
    let head = reading::head(path, Links::Follow, HEAD).unwrap_or_default();
    // A script under a shell's name is known by that name; its build-id would be none.
    config.images.push(ImageFile {
        name: name.to_owned(),
        kind,
        identity: (meta.dev(), meta.ino()),
        build_id: build_id(&head).to_vec(),
        origin,
    });
    note(path, config);
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policy::Policy;
    use portcullis_policy::exec::ExecutedProgram;
    use portcullis_policy::{Outcome, Rule};

    /// The beginning of an ELF file with one note: a build-id.
    fn elf(id: &[u8; 8]) -> Vec<u8> {
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[64..68].copy_from_slice(&4_u32.to_le_bytes());
        file[72..80].copy_from_slice(&120_u64.to_le_bytes());
        file[96..104].copy_from_slice(&24_u64.to_le_bytes());
        for word in [4_u32, 8, 3] {
            file.extend(word.to_le_bytes());
        }
        file.extend(b"GNU\0");
        file.extend(id);
        file
    }

    #[test]
    fn the_files_of_shells_are_known_whatever_their_name() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib64"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", at("bin")).unwrap();
        std::fs::write(at("usr/bin/dash"), elf(b"dashdash")).unwrap();
        std::fs::write(at("usr/bin/busybox"), elf(b"busybusy")).unwrap();
        std::fs::write(at("usr/bin/true"), elf(b"truetrue")).unwrap();
        std::fs::write(at("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), elf(b"loadload")).unwrap();
        std::os::unix::fs::symlink("dash", at("usr/bin/sh")).unwrap();
        std::os::unix::fs::symlink("busybox", at("usr/bin/ash")).unwrap();
        std::os::unix::fs::symlink(
            "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            at("usr/lib64/ld-linux-x86-64.so.2"),
        )
        .unwrap();
        let mut config = Config::default();
        find(root.path(), &mut config);
        let mut found: Vec<(&str, Kind)> =
            config.images.iter().map(|image| (image.name.as_str(), image.kind)).collect();
        found.dedup();
        let (shell, applets, loader) = (Kind::Shell, Kind::Applets, Kind::Loader);
        let expected =
            [("ash", applets), ("dash", shell), ("sh", shell), ("busybox", applets), ("ld-linux-x86-64.so.2", loader)];
        assert_eq!(found, expected);
        assert_eq!(config.sources.len(), config.images.len());

        let bytes = crate::compile(&config);
        let policy = Policy::new(&bytes).unwrap();
        let identity = |path: &str| {
            let meta = std::fs::metadata(at(path)).unwrap();
            (meta.dev(), meta.ino())
        };
        let judged = |identity, build_id: &[u8]| {
            let program = ExecutedProgram {
                names: &[b"innocent"],
                own_names: 1,
                identity,
                build_id,
                ..ExecutedProgram::default()
            };
            let verdict = policy.decide_exec(0, &program);
            (verdict.outcome, verdict.rule, String::from_utf8_lossy(policy.clause(verdict.clause).0).into_owned())
        };
        let spawned = (Outcome::Audit, Rule::ShellSpawn, "shell dash (default)".to_owned());
        // A hard link or a bind mount; a copy; a name that cannot be read.
        assert_eq!(judged(identity("usr/bin/dash"), b"dashdash"), spawned);
        assert_eq!(judged((1, 1), b"dashdash"), spawned);
        assert_eq!(judged(identity("usr/bin/dash"), b""), spawned);
        // Another file that has the inode of a shell that was removed.
        assert_eq!(judged(identity("usr/bin/dash"), b"othernew").0, Outcome::Allow);
        assert_eq!(judged(identity("usr/bin/true"), b"truetrue").0, Outcome::Allow);
        assert_eq!(judged(identity("usr/bin/busybox"), b"busybusy").0, Outcome::Allow);
        let kind = |(device, inode), id| policy.image(device, inode, id).map(|(kind, _)| kind);
        assert_eq!(kind(identity("usr/bin/busybox"), b"busybusy"), Some(Kind::Applets));
        assert_eq!(kind((1, 1), b"loadload"), Some(Kind::Loader));
        assert_eq!(kind(identity("usr/bin/true"), b"truetrue"), None);
    }

    #[test]
    fn the_files_of_tools_are_known_and_programs_of_many_applets_are_none() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("usr/bin")).unwrap();
        std::fs::write(at("usr/bin/perl"), elf(b"perlperl")).unwrap();
        std::fs::hard_link(at("usr/bin/perl"), at("usr/bin/other")).unwrap();
        std::fs::write(at("usr/bin/nc.openbsd"), elf(b"ncncncnc")).unwrap();
        std::os::unix::fs::symlink("nc.openbsd", at("usr/bin/nc")).unwrap();
        std::fs::write(at("usr/bin/python3-config"), "#!/bin/sh\n").unwrap();
        std::fs::write(at("usr/bin/coreutils"), elf(b"manymany")).unwrap();
        std::os::unix::fs::symlink("coreutils", at("usr/bin/whoami")).unwrap();
        std::fs::hard_link(at("usr/bin/coreutils"), at("usr/bin/uname")).unwrap();
        std::os::unix::fs::symlink("coreutils", at("usr/bin/ls")).unwrap();
        let mut config = Config::default();
        find(root.path(), &mut config);
        let found: Vec<(&str, Kind)> = config.images.iter().map(|image| (image.name.as_str(), image.kind)).collect();
        assert_eq!(found, [("nc", Kind::Tool), ("nc.openbsd", Kind::Tool), ("perl", Kind::Tool)]);
        let bytes = crate::compile(&config);
        let policy = Policy::new(&bytes).unwrap();
        let judged = |build_id: &[u8], is_script| {
            let program =
                ExecutedProgram { names: &[b"other"], own_names: 1, build_id, is_script, ..ExecutedProgram::default() };
            let verdict = policy.decide_exec(0, &program);
            (verdict.outcome, String::from_utf8_lossy(policy.clause(verdict.clause).0).into_owned())
        };
        assert_eq!(judged(b"perlperl", false), (Outcome::Audit, "tool perl (default)".to_owned()));
        assert_eq!(judged(b"perlperl", true).0, Outcome::Allow);
        assert_eq!(judged(b"manymany", false).0, Outcome::Allow);
    }

    #[test]
    fn only_a_scopes_own_shells_count() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("bin")).unwrap();
        std::fs::write(root.path().join("bin/dash"), elf(b"dashdash")).unwrap();
        let text = "[exec]\nshells = []\n[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[vhost.exec]\nshells = [\"dash\"]\n";
        let mut config = crate::parse_text(Path::new("/x.toml"), text).config;
        find(root.path(), &mut config);
        let bytes = crate::compile(&config);
        let policy = Policy::new(&bytes).unwrap();
        let program = ExecutedProgram { names: &[b"x"], build_id: b"dashdash", ..ExecutedProgram::default() };
        assert_eq!(policy.decide_exec(0, &program).outcome, Outcome::Allow);
        let (scope, _) = policy.vhost_scope(0);
        assert_eq!(policy.decide_exec(scope, &program).outcome, Outcome::Audit);
        assert_eq!(policy.decide_exec(portcullis_policy::STRICTEST_SCOPE, &program).outcome, Outcome::Audit);
    }
}
