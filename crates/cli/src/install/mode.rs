//! Another mode in a configuration file, of everything or of one virtual host; everything else in the file stays as it is.

use super::plan::Change;
use crate::check;
use portcullis_config::Config;
use portcullis_config::reading::{self, Links};
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table};

/// The change that gives everything another mode.
pub fn of_all(path: &Path, mode: &str) -> Result<Change, String> {
    change(path, mode, |document| Some(document.as_table_mut()))
}

/// The change that gives one virtual host another mode, in the file that has it.
pub fn of_vhost(config: &Config, name: &str, mode: &str) -> Result<Change, String> {
    let vhost = config.vhosts.iter().find(|vhost| vhost.name.value == name).ok_or_else(|| {
        let why = check::no_vhost(name, config.vhosts.iter().map(|vhost| &vhost.name.value));
        format!("{why}; help: `[[vhost]]` with its name and what it matches makes one")
    })?;
    let file = vhost.name.origin.file.as_ref().ok_or_else(|| format!("`{name}` is in no file"))?;
    change(file, mode, |document| {
        let is_it = |table: &Table| table.get("name").and_then(Item::as_str) == Some(name);
        if is_it(document.as_table()) {
            return Some(document.as_table_mut());
        }
        document.get_mut("vhost")?.as_array_of_tables_mut()?.iter_mut().find(|table| is_it(table))
    })
}

fn change(path: &Path, mode: &str, at: impl Fn(&mut DocumentMut) -> Option<&mut Table>) -> Result<Change, String> {
    let text = reading::text(path, Links::Follow, reading::CONFIG_MAX)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let changed = with_mode(&text, mode, at).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(Change::Write(path.to_owned(), changed))
}

fn with_mode(text: &str, mode: &str, at: impl Fn(&mut DocumentMut) -> Option<&mut Table>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let table = at(&mut document).ok_or("it is not written as a table of its own: change its `mode` by hand")?;
    match table.get_mut("mode").and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = mode.into();
            *value.decor_mut() = decor;
        }
        None => {
            table.insert("mode", toml_edit::value(mode));
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_changed_and_nothing_else() {
        let all = |text: &str, mode: &str| with_mode(text, mode, |document| Some(document.as_table_mut())).unwrap();
        let text = "# mine\nmode = 'audit' # as long as we look\n[egress]\n# why\nallow = []\n";
        let wanted = "# mine\nmode = \"enforce\" # as long as we look\n[egress]\n# why\nallow = []\n";
        assert_eq!(all(text, "enforce"), wanted);
        assert_eq!(all("[log]\nsink = []\n", "off"), "mode = \"off\"\n[log]\nsink = []\n");
    }

    #[test]
    fn a_virtual_host_is_found_in_whatever_file_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("portcullis.toml");
        std::fs::write(
            &main,
            "mode = \"audit\"\n[[vhost]]\nname = \"blog\"\nmatch = { pool = \"blog\" }\n[[vhost]]\nname = \"wiki\"\nmatch = { pool = \"wiki\" }\nmode = \"off\" # slow\n",
        )
        .unwrap();
        std::fs::create_dir(folder.path().join("vhosts.d")).unwrap();
        let shop = folder.path().join("vhosts.d/shop.toml");
        std::fs::write(&shop, "name = \"shop\" # ours\nmatch = { pool = \"shop\" }\n[egress]\nallow = []\n").unwrap();
        let config = portcullis_config::load(&main).config;
        let changed = |name: &str| match of_vhost(&config, name, "enforce") {
            Ok(Change::Write(path, text)) => (path, text),
            Ok(_) => panic!("{name}"),
            Err(why) => panic!("{name}: {why}"),
        };
        let (path, text) = changed("shop");
        assert_eq!(path, shop);
        assert_eq!(
            text,
            "name = \"shop\" # ours\nmatch = { pool = \"shop\" }\nmode = \"enforce\"\n[egress]\nallow = []\n"
        );
        let (path, text) = changed("wiki");
        assert_eq!(path, main);
        assert!(text.starts_with("mode = \"audit\"\n") && text.ends_with("mode = \"enforce\" # slow\n"), "{text}");
        assert!(changed("blog").1.contains("match = { pool = \"blog\" }\nmode = \"enforce\"\n[[vhost]]"));
        let Err(why) = of_vhost(&config, "nobody", "enforce") else { panic!("a change") };
        assert!(why.contains("known: `blog`, `shop`, `wiki`"), "{why}");
    }
}
