//! Which release of the distribution this is, in one place.

mod names;

use std::path::{Path, PathBuf};

/// What stands before a version that differs between releases: of packages, programs, paths and units.
const BEFORE: [&str; 12] =
    ["php", "php-fpm", "php-cgi", "php/", "libphp", "python", "lua", "guile-", "perl/", "nginx/", "gems/", "bundler-"];
const SUITES: [&str; 4] = ["bookworm", "trixie", "forky", "duke"];

/// Where a name with a version is right, and why.
const RIGHT: [(&str, &str, &str); 14] = [
    ("scripts/platforms", "", "makes a root of each release"),
    ("tests/distro/main.rs", "", "has the list"),
    ("scripts/setup", "lua5.4", "a package of each release"),
    ("scripts/setup", "guile-3.0", "a package of each release"),
    ("tests/zoo/programs.rs", "lua5.4", "the program of that package"),
    ("tests/servers/jails.rs", "9.9", "a root of its own, and a version that nobody has"),
    ("tests/servers/containers/mod.rs", "nginx/1.27", "says what a server says, and runs none"),
    ("benches/guard/c/calls.c", "nginx/1.22", "says what a server says, and runs none"),
    ("tests/siem/worked.rs", "php-fpm8.2", "docs/events/ has examples of Debian 12"),
    ("tests/siem/fields.rs", "php-fpm8.2", "docs/events/ has examples of Debian 12"),
    ("tests/machine/recipes.rs", "", "docs/recipes/redmine.md has names of Debian 12, which the test replaces"),
    ("examples/containers/", "", "images of others by their tags"),
    ("examples/fleet/inventory.example.yml", "", "an example of a host"),
    ("examples/fleet/roles/portcullis/meta/main.yml", "", "names the releases that the role was tested on"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(at: &Path, out: &mut Vec<PathBuf>) {
    if at.is_file() {
        out.push(at.to_owned());
    }
    let Ok(entries) = std::fs::read_dir(at) else { return };
    entries.for_each(|entry| files(&entry.expect("an entry").path(), out));
}

/// The names with a version in a line.
fn versions(line: &str) -> Vec<String> {
    let lower = line.to_ascii_lowercase();
    let is_word = |at: usize, word: &str| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        !is_part(lower[..at].chars().next_back()) && !is_part(lower[at + word.len()..].chars().next())
    };
    let suites = SUITES.iter().flat_map(|suite| lower.match_indices(suite));
    let suites = suites.filter(|(at, suite)| is_word(*at, suite)).map(|(_, suite)| suite.to_owned());
    let named = BEFORE.iter().flat_map(|before| lower.match_indices(before)).filter_map(|(at, before)| {
        let rest = &lower[at + before.len()..];
        let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let (major, minor) = number.split_once('.')?;
        (!major.is_empty() && minor.starts_with(|c: char| c.is_ascii_digit())).then(|| format!("{before}{number}"))
    });
    suites.chain(named).collect()
}

/// What runs on each release asks scripts/distro for its names, or finds them. The documentation has examples, and `crates/` make the
/// hosts that they read.
#[test]
fn no_other_file_has_a_name_of_one_release() {
    let mut all = Vec::new();
    for folder in ["scripts", "tests", "benches", "examples", ".ci", "Makefile"] {
        files(&root().join(folder), &mut all);
    }
    let mut found = Vec::new();
    let mut used = [false; RIGHT.len()];
    for file in all {
        let path = file.strip_prefix(root()).expect("below").to_str().expect("text").to_owned();
        let is_locked =
            ["package-lock.json", "requirements.txt", "requirements.in"].iter().any(|end| path.ends_with(end));
        // What is no text has no names.
        let Some(text) = std::fs::read_to_string(&file).ok().filter(|_| !is_locked) else { continue };
        for (number, line) in text.lines().enumerate() {
            for name in versions(line) {
                let is_right =
                    |(file, allowed, _): &(&str, &str, &str)| path.starts_with(file) && name.contains(allowed);
                match RIGHT.iter().position(is_right) {
                    Some(index) => used[index] = true,
                    None => found.push(format!("{path}:{}: {name}", number + 1)),
                }
            }
        }
    }
    assert!(found.is_empty(), "ask scripts/distro, or find it:\n{}", found.join("\n"));
    let unused: Vec<_> = RIGHT.iter().zip(used).filter(|(_, used)| !used).map(|(right, _)| right).collect();
    assert!(unused.is_empty(), "nothing there is excepted any more: {unused:?}");
}

#[test]
fn a_version_is_found_however_it_is_written() {
    for (line, wanted) in [
        ("systemctl reload php8.2-fpm", &["php8.2"][..]),
        ("/usr/sbin/php-fpm8.4 -F", &["php-fpm8.4"]),
        ("/etc/php/8.4/fpm", &["php/8.4"]),
        ("debootstrap Bookworm x", &["bookworm"]),
        ("php-fpmX.Y of trixies, PHP 8.2, python3", &[]),
    ] {
        let found = versions(line);
        assert_eq!(found, wanted, "{line}");
    }
}

/// The versions that the scripts find are those of what is installed.
#[test]
fn this_release_has_its_names() {
    let php = names::of_release("php");
    assert!(
        Path::new("/usr/sbin").join(names::named("php-fpmX.Y")).exists(),
        "php-fpm{php}; scripts/setup installs it"
    );
    assert!(Path::new(&format!("/usr/bin/python{}", names::of_release("python"))).exists());
    let release = std::fs::read_to_string("/etc/os-release").expect("/etc/os-release");
    assert!(release.contains(&format!("VERSION_CODENAME={}\n", names::of_release("suite"))));
}

/// The table of docs/platforms.md has a row for each platform that scripts/platforms makes, in its order.
#[test]
fn the_table_has_the_platforms() {
    let done =
        std::process::Command::new(root().join("scripts/platforms")).arg("--list").output().expect("scripts/platforms");
    let known = String::from_utf8(done.stdout).expect("text");
    let text = std::fs::read_to_string(root().join("docs/platforms.md")).expect("docs/platforms.md");
    let table: Vec<&str> =
        text.lines().skip_while(|line| !line.starts_with("| platform ")).take_while(|line| !line.is_empty()).collect();
    let columns = table[0].matches('|').count();
    assert!(
        table.iter().all(|row| row.matches('|').count() == columns),
        "a row has other columns:\n{}",
        table.join("\n")
    );
    let rows: Vec<&str> = table[2..].iter().filter_map(|row| row.split('|').nth(1)).map(str::trim).collect();
    assert_eq!(rows, known.lines().collect::<Vec<_>>());
    // A cell that nobody filled says so.
    assert!(
        table[2..].iter().all(|row| row.trim_matches('|').split('|').all(|cell| !cell.trim().is_empty())),
        "an empty cell"
    );
}
