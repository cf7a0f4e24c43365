//! The text of a configuration file in which a virtual host enforces every rule. Everything else in the file stays as it is.

use crate::out;
use portcullis_policy::{Mode, Rule};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// A key by which a request selects a new virtual host, and its value.
pub type Key = (&'static str, String);

/// What a virtual host is to say.
pub struct Strict<'w> {
    /// The sentence that its events carry.
    pub why: &'w str,
    /// Its lists allow nothing either.
    pub is_closed: bool,
}

/// `text` in which the virtual host `name` enforces every rule.
pub fn enforced(text: &str, name: &str, strict: &Strict<'_>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let place = find(document.as_table_mut(), name)
        .ok_or_else(|| format!("the virtual host `{name}` is not found as a table; help: write it as [[vhost]]"))?;
    write(place, strict)?;
    Ok(document.to_string())
}

/// The text of a new file of `vhosts.d` with a virtual host that these keys select.
pub fn fresh(name: &str, keys: &[Key], strict: &Strict<'_>) -> Result<String, String> {
    let mut document = DocumentMut::new();
    document.insert("name", Item::Value(printable(name)));
    let mut matches = InlineTable::new();
    for (key, value) in keys {
        matches.insert(*key, Value::Array(Array::from_iter([printable(value)])));
    }
    document.insert("match", Item::Value(Value::InlineTable(matches)));
    write(Place::Lines(document.as_table_mut()), strict)?;
    Ok(document.to_string())
}

/// A string of which the file has nothing but what prints: an editor, a pager and a diff show each of its characters as it is.
fn printable(text: &str) -> Value {
    let plain = Value::from(text);
    let written = plain.to_string();
    if written.chars().all(out::is_printable) {
        return plain;
    }
    let escaped = |one: char| match one {
        '"' | '\\' => format!("\\{one}"),
        _ if out::is_printable(one) => one.to_string(),
        _ => format!("\\U{:08X}", u32::from(one)),
    };
    let escaped: String = text.chars().map(escaped).collect();
    // What could not be read again would be written as it is, and the file is then rejected before anything changes.
    format!("\"{escaped}\"").parse().unwrap_or(plain)
}

/// A table, as it is written.
enum Place<'t> {
    /// Over lines of its own.
    Lines(&'t mut Table),
    /// In braces.
    Braces(&'t mut InlineTable),
}

impl<'t> Place<'t> {
    /// The table `name` in it, which is made where it is not there; `holds_keys`: keys are put into it.
    fn reach(self, name: &str, holds_keys: bool) -> Result<Place<'t>, String> {
        let wrong = || format!("`{name}` is no table");
        match self {
            Place::Braces(table) => {
                let inner = table.entry(name).or_insert_with(|| Value::InlineTable(InlineTable::new()));
                inner.as_inline_table_mut().map(Place::Braces).ok_or_else(wrong)
            }
            Place::Lines(table) => {
                // Below keys with dots no header of a table may follow.
                let is_dotted = table.is_dotted();
                let new = || {
                    let mut new = Table::new();
                    new.set_implicit(!holds_keys);
                    new.set_dotted(is_dotted);
                    Item::Table(new)
                };
                match table.entry(name).or_insert_with(new) {
                    Item::Table(inner) => Ok(Place::Lines(inner)),
                    Item::Value(Value::InlineTable(inner)) => Ok(Place::Braces(inner)),
                    _ => Err(wrong()),
                }
            }
        }
    }

    /// Sets a key; what stands around its value stays there.
    fn set(self, key: &str, mut value: Value) {
        let before = match &self {
            Place::Lines(table) => table.get(key).and_then(Item::as_value),
            Place::Braces(table) => table.get(key),
        };
        if let Some(before) = before {
            *value.decor_mut() = before.decor().clone();
        }
        match self {
            Place::Lines(table) => drop(table.insert(key, Item::Value(value))),
            Place::Braces(table) => drop(table.insert(key, value)),
        }
    }

    /// The same place once more.
    fn again(&mut self) -> Place<'_> {
        match self {
            Place::Lines(table) => Place::Lines(table),
            Place::Braces(table) => Place::Braces(table),
        }
    }

    /// Whether the table at this path has a key.
    fn has(&self, path: &[&str], key: &str) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let found = match self {
            Place::Lines(table) => table.get(first).and_then(Item::as_table_like),
            Place::Braces(table) => table.get(first).and_then(Value::as_inline_table).map(|table| table as _),
        };
        let end = found.and_then(|found| rest.iter().try_fold(found, |at, name| at.get(name)?.as_table_like()));
        end.is_some_and(|table| table.contains_key(key))
    }
}

/// A virtual host: the file's own table, or one of `vhost`.
fn find<'t>(table: &'t mut Table, name: &str) -> Option<Place<'t>> {
    let is_it = |table: &Table| table.get("name").and_then(Item::as_str) == Some(name);
    if is_it(table) {
        return Some(Place::Lines(table));
    }
    match table.get_mut("vhost")? {
        Item::ArrayOfTables(all) => all.iter_mut().find(|table| is_it(table)).map(Place::Lines),
        Item::Value(Value::Array(all)) => all
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .find(|table| table.get("name").and_then(Value::as_str) == Some(name))
            .map(Place::Braces),
        _ => None,
    }
}

/// Has a virtual host enforce every rule.
fn write(mut place: Place<'_>, strict: &Strict<'_>) -> Result<(), String> {
    place.again().set("why", printable(strict.why));
    place.again().set("mode", Mode::Enforce.word().into());
    for rule in Rule::ALL {
        let path: Vec<&str> = rule.text().table.split('.').collect();
        // What a virtual host says of a rule takes precedence over its mode, which some rules do not follow.
        if place.has(&path, "mode") || !rule.follows_mode() {
            reach(place.again(), &path)?.set("mode", Mode::Enforce.word().into());
        }
    }
    if strict.is_closed {
        for (table, key) in [("egress", "allow"), ("egress", "common_ports"), ("exec", "allow")] {
            reach(place.again(), &[table])?.set(key, Value::Array(Array::new()));
        }
    }
    Ok(())
}

fn reach<'t>(place: Place<'t>, path: &[&str]) -> Result<Place<'t>, String> {
    path.iter().enumerate().try_fold(place, |at, (depth, name)| at.reach(name, depth + 1 == path.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_config::modes;
    use std::path::Path;

    const STRICT: Strict<'static> = Strict { why: "contained", is_closed: false };

    /// The modes of the virtual host `shop` of a main file.
    fn modes_of(text: &str) -> Vec<Mode> {
        let loaded = portcullis_config::parse_text(Path::new("/x"), text);
        assert!(loaded.usable(), "{text}: {:?}", loaded.diagnostics.iter().map(|one| &one.message).collect::<Vec<_>>());
        let shop = loaded.config.vhosts.iter().find(|vhost| vhost.name.value == "shop").expect("shop");
        assert_eq!(shop.scope.why.all.as_deref(), Some("contained"), "{text}");
        modes::of(&shop.scope, &loaded.config).rules.to_vec()
    }

    #[test]
    fn every_rule_is_enforced_however_the_virtual_host_is_written() {
        let host = "[[vhost]]\nname = \"shop\"\nmatch = { pool = \"shop\" }\n";
        for text in [
            host.to_owned(),
            format!("mode = \"off\"\n[rules.exec-tool]\nmode = \"off\"\n{host}"),
            format!(
                "{host}mode = \"off\" # slow\n[vhost.exec]\nmode = \"audit\"\n[vhost.rules.exec-tool]\nmode = \"off\"\n"
            ),
            format!("{host}exec = {{ mode = \"audit\" }}\nrules = {{ exec-place = {{ mode = \"off\" }} }}\n"),
            format!("{host}exec.mode = \"off\"\nrules.exec-place.mode = \"off\"\nrules.metadata.mode = \"audit\"\n"),
            format!("{host}[vhost.rules]\nexec-tool.mode = \"off\"\nmetadata = {{ mode = \"off\" }}\n"),
            "vhost = [{ name = \"shop\", match = { pool = \"shop\" }, exec = { mode = \"off\" } }]\n".to_owned(),
            format!(
                "{host}\n[[vhost]]\nname = \"blog\"\nmatch = {{ pool = \"blog\" }}\n[vhost.exec]\nmode = \"audit\"\n"
            ),
        ] {
            let strict = enforced(&text, "shop", &STRICT).expect("a text");
            assert!(modes_of(&strict).iter().all(|mode| *mode == Mode::Enforce), "{text}\n{strict}");
            assert_eq!(enforced(&strict, "shop", &STRICT).expect("a text"), strict, "once is enough");
        }
    }

    #[test]
    fn nothing_else_of_the_file_changes() {
        let text = "# ours\nmode = \"audit\" # for now\n\n[[vhost]]\nname = \"shop\" # the shop\nmatch = { pool = \"shop\" }\nmode = \"off\" # slow\n\n\
                    [vhost.egress]\n# the bank\nallow = [\"192.88.1.1:25\"]\n\n[[vhost]]\nname = \"blog\"\nmatch = { pool = \"blog\" }\n";
        let strict = enforced(text, "shop", &STRICT).expect("a text");
        for line in text.lines().filter(|line| !line.starts_with("mode = \"off\"")) {
            assert!(strict.lines().any(|other| other == line), "{line}: {strict}");
        }
        assert!(strict.contains("mode = \"enforce\" # slow\n"), "{strict}");
        let loaded = portcullis_config::parse_text(Path::new("/x"), &strict).config;
        let blog = loaded.vhosts.iter().find(|vhost| vhost.name.value == "blog").expect("blog");
        assert!(modes::of(&blog.scope, &loaded).rules.iter().all(|mode| *mode == Mode::Audit), "{strict}");
    }

    #[test]
    fn closed_lists_allow_nothing() {
        let text =
            "[[vhost]]\nname = \"shop\"\nmatch = { pool = \"shop\" }\n[vhost.egress]\nallow = [\"192.88.1.1:25\"]\n";
        let closed = enforced(text, "shop", &Strict { is_closed: true, ..STRICT }).expect("a text");
        let config = portcullis_config::parse_text(Path::new("/x"), &closed).config;
        let scope = &config.vhosts[0].scope;
        assert!(scope.allow.as_ref().is_some_and(|allow| allow.nets.is_empty()), "{closed}");
        assert!(scope.common.as_ref().is_some_and(Vec::is_empty) && scope.commands.as_ref().is_some_and(Vec::is_empty));
    }

    /// The names and paths of events come from an attacker.
    #[test]
    fn nothing_in_a_name_or_a_path_is_more_than_that() {
        for hostile in
            ["/srv/a\"]\n[exec]\nmode = \"off\"\n#", "/srv/\u{1b}[2J\u{202e}'''", "/srv/\\x\\u0041 # \t", "/srv/]]"]
        {
            let text = fresh(hostile, &[("document_root", hostile.to_owned())], &STRICT).expect("a text");
            let document: DocumentMut = text.parse().expect("TOML");
            assert_eq!(document["name"].as_str(), Some(hostile), "{text}");
            assert_eq!(document["match"]["document_root"][0].as_str(), Some(hostile), "{text}");
            assert_eq!(document["mode"].as_str(), Some("enforce"), "{text}");
            assert!(text.chars().all(|one| one == '\n' || out::is_printable(one)), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_table_is_said() {
        for (text, said) in [
            ("", "not found as a table"),
            ("vhost = 1\n", "not found as a table"),
            ("name = \"shop\"\nrules = 1\n", "`rules` is no table"),
            ("name = ", ""),
        ] {
            let why = enforced(text, "shop", &STRICT).expect_err("an error");
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}
