//! What of a word a machine made up: names of pictures, numbers and hashes of other data, temporary names, sizes.

use std::fmt::Write;

/// Kinds of files that people give their own names, and that are pictures, sounds or pages: none of them is run.
const MEDIA: [&str; 39] = [
    "aac", "avi", "avif", "bmp", "doc", "docx", "eps", "flac", "gif", "heic", "ico", "jfif", "jp2", "jpe", "jpeg",
    "jpg", "m4a", "m4v", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "odp", "ods", "odt", "ogg", "pdf", "png", "ppt",
    "pptx", "psd", "svg", "tif", "tiff", "wav", "webm", "webp",
];
/// Of these, without a folder a name is a host, too.
const HOSTS: [&str; 1] = ["mov"];
/// Kinds of files that programs name with a date or a number.
const NUMBERED: [&str; 15] =
    ["bak", "bz2", "csv", "gz", "json", "lock", "log", "sql", "tmp", "txt", "xlsx", "xml", "xz", "zip", "zst"];
/// Folders in which programs make up the names of their files.
const TEMPORARY: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];
/// So many digits of a name are a date or an identifier.
const DIGITS: usize = 6;
/// So many hexadecimal digits are an identifier; where its groups end, one of a UUID has a dash.
const HEX: usize = 12;
const UUID: [usize; 4] = [8, 13, 18, 23];
/// So many random characters the makers of temporary names put at the end (mkstemp, PHP).
const RANDOM: usize = 6;
/// A larger number is no port, mode, or number of a user.
const NUMBER_MAX: u64 = 65_535;
/// In the place of what is left out. No command has it.
pub const LEFT_OUT: char = '\0';

/// A part of a word.
pub fn of_word(word: &str, out: &mut String) {
    let first = word.find('/').unwrap_or(word.len());
    // A host, with its port and its user; also the kind of a picture, as ImageMagick has it.
    let (host, path, query) = match word.split_once("://") {
        Some((_, rest)) => {
            let start = word.len() - rest.len();
            let (host, path) = word.split_at(start + rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
            (host, path, query)
        }
        None => {
            let (host, path) = match word[..first].rfind([':', '@']) {
                Some(at) if word[at..].starts_with('@') => word.split_at(first),
                at => word.split_at(at.map_or(0, |at| at + 1)),
            };
            (host, path, "")
        }
    };
    out.push_str(host);
    if host.is_empty() && first == word.len() && of_number(path, out) {
        return;
    }
    let (folders, name) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
    let is_temporary = TEMPORARY.iter().any(|folder| folders.starts_with(folder));
    let mut shown = String::new();
    match of_name(name, !folders.is_empty(), is_temporary, &mut shown) {
        true => of_folders(folders, host.is_empty(), out),
        // Of a script, each folder is a part of what it is.
        false => out.push_str(folders),
    }
    out.push_str(&shown);
    without(query, DIGITS, out);
}

/// Folders of something that a machine made up.
pub fn of_folders(folders: &str, may_be_host: bool, out: &mut String) {
    for (place, folder) in folders.split_inclusive('/').enumerate() {
        let name = folder.trim_end_matches('/');
        let is_short = is_digits(name) && name.parse().is_ok_and(|number: u64| number <= NUMBER_MAX);
        let is_pair = name.len() == 2 && name.bytes().all(is_hex);
        // The first one of a path that does not begin at the root may be an address in digits.
        let is_left_out = match place == 0 && may_be_host {
            true => is_short,
            false => is_digits(name) || is_pair || is_identifier(name),
        };
        match is_left_out {
            true => out.extend([LEFT_OUT, '/']),
            false => out.push_str(folder),
        }
    }
}

/// A number, or the size of a picture: `200x200`, `50%`, `+10+20`, `200x200>`. False where it is neither.
fn of_number(word: &str, out: &mut String) -> bool {
    let is_digit = |one: char| one.is_ascii_digit();
    let is_part = |one: char| is_digit(one) || "x+%!^.<>".contains(one);
    if !word.contains(is_digit) || !word.chars().all(is_part) {
        return false;
    }
    match word.chars().all(is_digit) {
        true if word.parse().is_ok_and(|number: u64| number <= NUMBER_MAX) => out.push_str(word),
        // An address has points, and its numbers are no sizes.
        false if !word.contains(['x', '+', '%']) => out.push_str(word),
        _ => {
            without(word, 1, out);
        }
    }
    true
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether a name is a hash or a UUID.
fn is_identifier(name: &str) -> bool {
    let is_uuid = name.len() == 36 && name.bytes().enumerate().all(|(at, byte)| (byte == b'-') == UUID.contains(&at));
    let digits = || name.bytes().filter(|byte| *byte != b'-');
    (is_uuid || name.len() >= HEX && !name.contains('-'))
        && digits().all(is_hex)
        && digits().any(|byte| byte.is_ascii_digit())
}

/// Whether a name says nothing to a shell: what could be several words, or a pattern, is kept.
fn is_plain(name: &str) -> bool {
    name.chars().all(|one| one.is_alphanumeric() || "._-+~@%:!".contains(one))
}

/// The last part of a path: a file, or a word. Whether a machine made it up.
fn of_name(name: &str, is_in_folder: bool, is_temporary: bool, out: &mut String) -> bool {
    // A page of a document: `a.pdf[0]`.
    let is_pages = |pages: &str| pages.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let pages = name.strip_suffix(']').and_then(|name| name.rsplit_once('[')).filter(|(_, pages)| is_pages(pages));
    let name = pages.map_or(name, |(name, _)| name);
    let is_made_up = of_file(name, is_in_folder, is_temporary, out);
    if let Some((_, pages)) = pages {
        let _ = write!(out, "[{pages}]");
    }
    is_made_up
}

fn of_file(name: &str, is_in_folder: bool, is_temporary: bool, out: &mut String) -> bool {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let low = kind.to_ascii_lowercase();
    let has_kind = |of: &[&str]| of.contains(&low.as_str());
    let is_media = !stem.is_empty() && has_kind(&MEDIA) && (is_in_folder || !has_kind(&HOSTS));
    if !is_plain(name) {
        out.push_str(name);
        false
    } else if is_media || has_kind(&NUMBERED) && is_identifier(stem) {
        let _ = write!(out, "{LEFT_OUT}.{kind}");
        true
    } else if has_kind(&NUMBERED) {
        let is_made_up = without(stem, 1, out);
        let _ = write!(out, ".{kind}");
        is_made_up
    } else if is_temporary && let Some(begin) = before_random(name) {
        let _ = write!(out, "{begin}{LEFT_OUT}");
        true
    } else if kind.is_empty() && (is_identifier(name) || is_in_folder && is_digits(name)) {
        out.push(LEFT_OUT);
        true
    } else if kind.is_empty() {
        without(name, if is_temporary { 1 } else { DIGITS }, out)
    } else {
        out.push_str(name);
        false
    }
}

/// What a temporary name has before its random end: that is of letters of both cases, or with digits among them.
fn before_random(name: &str) -> Option<&str> {
    let start = name.char_indices().rev().take_while(|(_, one)| one.is_ascii_alphanumeric()).last()?.0;
    let end = &name[start..];
    if end.strip_prefix("php").is_some_and(|random| random.len() == RANDOM) {
        return Some(&name[..start + "php".len()]);
    }
    // Behind a sign, all is random: `magick-Xy3...`, `tmp.a8Kz...`.
    let has = |is: fn(&u8) -> bool| end.bytes().any(|byte| is(&byte));
    let kinds = [has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), has(u8::is_ascii_digit)];
    let is_random = kinds.iter().filter(|has| **has).count() > 1;
    (start > 0 && end.len() >= RANDOM && is_random).then(|| &name[..start])
}

/// A text without so many digits in a row or more; whether any were left out.
fn without(text: &str, least: usize, out: &mut String) -> bool {
    let (mut rest, mut is_shorter) = (text, false);
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let length = rest.find(|one: char| one.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(length);
        match is_digit && length >= least {
            true => out.push(LEFT_OUT),
            false => out.push_str(run),
        }
        is_shorter |= is_digit && length >= least;
        rest = behind;
    }
    is_shorter
}
