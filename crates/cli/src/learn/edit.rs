//! A proposal put into a configuration file: entries appended to its lists, each with its evidence as a comment;
//! everything else in the file stays as it is.

use super::propose::{List, Proposal};
use super::widen::covers;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// The text of a file with a proposal in it, for the virtual host of that name or, without one, for everything.
pub fn edited(text: &str, vhost: &str, proposal: &Proposal) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let table =
        scope(document.as_table_mut(), vhost).ok_or_else(|| format!("the file has no virtual host `{vhost}`"))?;
    put(table, !vhost.is_empty(), proposal)?;
    Ok(document.to_string())
}

/// The text of a new file for a virtual host.
pub fn fresh(vhost: &str, proposal: &Proposal) -> Result<String, String> {
    let mut document = DocumentMut::new();
    document.insert("name", toml_edit::value(vhost));
    let mut roots = Array::new();
    roots.extend(proposal.roots.iter().map(String::as_str));
    let mut matches = toml_edit::InlineTable::new();
    matches.insert("document_root", Value::Array(roots));
    document.insert("match", Item::Value(Value::InlineTable(matches)));
    put(document.as_table_mut(), true, proposal)?;
    Ok(document.to_string())
}

/// A proposal by itself, for reading.
pub fn alone(of_vhost: bool, proposal: &Proposal) -> Result<String, String> {
    let mut document = DocumentMut::new();
    put(document.as_table_mut(), of_vhost, proposal)?;
    Ok(document.to_string())
}

/// The table of a scope: the file's own, where it is the main file's or a virtual host's, or one of `[[vhost]]`.
fn scope<'t>(table: &'t mut Table, vhost: &str) -> Option<&'t mut Table> {
    let named = |table: &Table| table.get("name").and_then(Item::as_str) == Some(vhost);
    if vhost.is_empty() || named(table) {
        return Some(table);
    }
    table.get_mut("vhost")?.as_array_of_tables_mut()?.iter_mut().find(|table| named(table))
}

fn put(table: &mut Table, of_vhost: bool, proposal: &Proposal) -> Result<(), String> {
    for list in List::ALL {
        let entries: Vec<(&str, String)> = proposal
            .entries
            .iter()
            .filter(|((of, _), _)| *of == list)
            .map(|((_, text), evidence)| (text.as_str(), evidence.line()))
            .collect();
        if entries.is_empty() {
            continue;
        }
        let (path, key) = list.path();
        let mut at = &mut *table;
        for (depth, name) in path.iter().enumerate() {
            let new = || {
                let mut new = Table::new();
                new.set_implicit(depth + 1 < path.len());
                Item::Table(new)
            };
            at = at
                .entry(name)
                .or_insert_with(new)
                .as_table_mut()
                .ok_or(format!("`{name}` is no table of its own lines"))?;
        }
        let inherited = list.inherited(of_vhost);
        let new = || {
            let mut array = Array::new();
            array.extend(inherited);
            toml_edit::value(array)
        };
        let array = at.entry(key).or_insert_with(new).as_array_mut().ok_or(format!("`{key}` is no list"))?;
        append(array, list, &entries);
    }
    Ok(())
}

fn append(array: &mut Array, list: List, entries: &[(&str, String)]) {
    // Comments behind the last entry stay behind that.
    let mut behind = array.trailing().as_str().unwrap_or_default().trim_end().to_owned();
    if let Some(last) = array.len().checked_sub(1).and_then(|last| array.get_mut(last)) {
        let suffix = last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default().trim_end();
        behind = format!("{suffix}{behind}");
        last.decor_mut().set_suffix("");
    }
    for (text, _) in entries {
        array.retain(|value| !value.as_str().is_some_and(|literal| covers(list, text, literal)));
    }
    for (text, comment) in entries {
        let is_it = |value: &Value| match value.as_integer() {
            Some(number) => number.to_string() == *text,
            None => value.as_str() == Some(text),
        };
        if array.iter().any(is_it) {
            continue;
        }
        let mut value = match (list, text.parse::<i64>()) {
            (List::Listen, Ok(port)) => Value::from(port),
            _ => Value::from(*text),
        };
        value.decor_mut().set_prefix(format!(
            "{}\n{}    ",
            std::mem::take(&mut behind),
            crate::out::comment("    ", comment)
        ));
        array.push_formatted(value);
    }
    let on_one_line = |value: &Value| {
        !value.decor().prefix().and_then(|prefix| prefix.as_str()).is_some_and(|prefix| prefix.contains('\n'))
    };
    if let Some(first) = array.get_mut(0).filter(|first| on_one_line(first)) {
        first.decor_mut().set_prefix("\n    ");
    }
    array.set_trailing_comma(true);
    array.set_trailing(format!("{behind}\n"));
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Evidence;
    use super::*;

    fn proposal() -> Proposal {
        let mut proposal = Proposal::default();
        let evidence =
            Evidence { count: 2, when: Some((0, 3600)), example: "GET /\u{2028}x".into(), ..Evidence::default() };
        proposal.entries.insert((List::Egress, "192.88.1.1:25".into()), evidence.clone());
        proposal.entries.insert((List::Listen, "8080".into()), evidence);
        proposal
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# mine\nmode = \"audit\"\n\n[egress] # out\nallow = [\n    \"a.example:25\", # mail\n    # the end\n]\n\n[log]\nsink = []\n";
        let edited = edited(text, "", &proposal()).unwrap();
        for part in [
            "# mine\nmode",
            "[egress] # out",
            "\"a.example:25\", # mail",
            "# the end",
            "[log]\nsink = []",
            "    # 2 times, 1970-01-01 00:00:00 to 1970-01-01 01:00:00",
        ] {
            assert!(edited.contains(part), "{part}: {edited}");
        }
        let mut diagnostics = portcullis_config::parse_text(std::path::Path::new("/x"), &edited);
        diagnostics.diagnostics.retain(|diagnostic| diagnostic.severity == portcullis_config::Severity::Error);
        assert!(diagnostics.usable(), "{edited}");
        assert_eq!(super::edited(&edited, "", &proposal()).unwrap(), edited, "once is enough");
    }

    #[test]
    fn what_a_wider_entry_covers_is_removed() {
        let mut proposal = Proposal::default();
        proposal.entries.insert((List::Egress, "192.88.1.0/24:25".into()), Evidence::default());
        let text = "[egress]\nallow = [\n    \"192.88.1.7:25\", # one\n    \"192.88.2.7:25\", # other\n]\n";
        let edited = edited(text, "", &proposal).unwrap();
        assert!(
            !edited.contains("192.88.1.7") && edited.contains("192.88.2.7") && edited.contains("192.88.1.0/24:25"),
            "{edited}"
        );
    }

    #[test]
    fn a_virtual_host_of_the_main_file() {
        let text = "[[vhost]]\nname = \"shop\"\nmatch = { pool = \"shop\" }\n\n[[vhost]]\nname = \"blog\"\nmatch = { pool = \"blog\" }\n";
        let edited = edited(text, "shop", &proposal()).unwrap();
        let loaded = portcullis_config::parse_text(std::path::Path::new("/x"), &edited);
        assert!(loaded.usable(), "{edited}");
        let allow = loaded.config.vhosts[0].scope.allow.as_ref().unwrap();
        assert_eq!(allow.nets.len(), 1, "{edited}");
        assert!(loaded.config.vhosts[1].scope.allow.is_none());
        assert!(super::edited(text, "other", &proposal()).is_err());
    }
}
