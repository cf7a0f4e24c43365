//! Every key there is: what the reader accepts, and what docs/configuration.md lists.

/// A key of the configuration.
pub struct Key {
    /// The table that it stands in: empty for the top of the main file.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its value is, in Markdown.
    pub value: &'static str,
    /// What holds where it is not written, in Markdown.
    pub default: &'static str,
}

const fn key(table: &'static str, name: &'static str, value: &'static str, default: &'static str) -> Key {
    Key { table, name, value, default }
}

/// All keys, in the order in which they are explained. Those of `rules.NAME` beside `mode` and `why` are of one rule each.
pub const KEYS: [Key; 44] = [
    key(
        "",
        "mode",
        "`\"off\"`, `\"audit\"`, `\"enforce\"`: the mode of the [rules that it covers](#modes); `\"off\"` also turns off every rule without a mode of its own",
        "`\"audit\"`",
    ),
    key(
        "",
        "override",
        "`\"audit\"`, `\"off\"`: the mode of every rule of every virtual host, whatever else is written ([kill switch](#kill-switch))",
        "",
    ),
    key("log", "sink", "list of `\"journald\"`, `\"syslog\"`, `\"file\"`, `\"stderr\"`", "`[\"journald\"]`"),
    key("log", "file", "absolute path of the file sink", "`/var/log/portcullis/events.jsonl`"),
    key(
        "log",
        "group",
        "group whose processes may [append to the file](events.md#the-log-file), by name or number; `\"\"`: none",
        "the first of `www-data`, `apache`, `nginx`, `http` that exists",
    ),
    key("log", "merge", "whether [repeated events](events.md#repeated-events) are merged", "`true`"),
    key("log", "seal", "whether [events are sealed](events.md#sealed-events)", "`false`"),
    key("egress", "mode", "as `mode`, for `egress-port` alone", "`mode`"),
    key(
        "egress",
        "common_ports",
        "ports and ranges (`8983`, `\"9000-9010\"`); `\"default\"` means the built-in list",
        "`[\"default\"]`",
    ),
    key(
        "egress",
        "local_ranges",
        "addresses and networks; `\"default\"` likewise; `[]`: nothing is local",
        "`[\"default\"]`",
    ),
    key("egress", "allow", "destinations, `\"HOST:PORTS\"`", "`[]`"),
    key("egress", "deny", "destinations; takes precedence over everything else", "`[]`"),
    key(
        "egress",
        "errno",
        "errno of a blocked connect: `EACCES`, `EPERM`, `ECONNREFUSED`, `ENETUNREACH`, `EHOSTUNREACH`, `ETIMEDOUT`, `ENOENT`",
        "`\"EACCES\"`",
    ),
    key("egress", "why", "a sentence of at most 240 bytes, copied into events", ""),
    key("exec", "mode", "as `mode`, for `shell-spawn` alone", "`mode`"),
    key("exec", "shells", "names of programs that are shells; `\"default\"` likewise", "`[\"default\"]`"),
    key("exec", "allow", "simple commands that a shell may run; `\"default\"` likewise", "`[\"default\"]`"),
    key("exec", "errno", "errno of a blocked program", "`\"EACCES\"`"),
    key("exec", "why", "as above", ""),
    key(
        "rules.NAME",
        "mode",
        "as `mode`, for one rule, by its ID",
        "`mode` for the [rules that it covers](#modes), `\"audit\"` for the others; `\"off\"` if `mode` is off",
    ),
    key("rules.NAME", "why", "as above", ""),
    key(
        "rules.exec-place",
        "places",
        "absolute paths, and the words `writable`, `memfd`, `hidden`; `\"default\"` likewise",
        "`[\"default\"]`",
    ),
    key(
        "rules.exec-tool",
        "tools",
        "names of programs, a `*` at the end for any version; `\"default\"` likewise",
        "`[\"default\"]`",
    ),
    key(
        "rules.loader-env",
        "allow",
        "whole values that are expected of variables that load code, or `NAME=VALUE` of any variable of [the table](#commands)",
        "`[]`",
    ),
    key("rules.listen-port", "allow", "ports and ranges that may be opened", "`[]`"),
    key(
        "rules.dns-direct",
        "resolvers",
        "addresses of name servers; `\"default\"` means those of /etc/resolv.conf",
        "`[\"default\"]`",
    ),
    key("rules.metadata", "addresses", "metadata services; `\"default\"` likewise", "`[\"default\"]`"),
    key("rules.php-ini", "allow", "names of PHP settings that a request may contain", "`[]`"),
    key(
        "rules.exec-unguarded",
        "allow",
        "real paths of programs; `*` and `?` match all but a slash; `\"default\"` likewise",
        "`[\"default\"]`",
    ),
    key(
        "rules.exec-unguarded",
        "reasons",
        "list of `\"setuid\"`, `\"static\"`, `\"foreign\"`, `\"missing\"`, `\"sanitizer\"`: [why](rules/exec-unguarded.md) the library is not active in a program",
        "`[\"setuid\", \"missing\", \"sanitizer\"]`",
    ),
    key("rules.namespace", "allow", "real paths of programs; `*` and `?` likewise", "`[]`"),
    key("backstop", "seccomp", "`\"off\"`, `\"log\"`, `\"supervise\"`", "`\"off\"`"),
    key(
        "backstop",
        "no_new_privs",
        "whether a worker that has no CAP_SYS_ADMIN may set no_new_privs to load the filter",
        "`false`",
    ),
    key("vhost", "name", "the name in events; each once", ""),
    key("vhost", "why", "as above", ""),
    key("vhost", "match", "a table of the keys below", ""),
    key("vhost", "mode", "as `mode`; and all of `egress`, `exec` and `rules`", "the global one"),
    key("vhost.match", "server_name", "names and patterns", ""),
    key(
        "vhost.match",
        "server_name_from",
        "trusted sources of `server_name`: `\"module\"`, `\"nginx\"`, `\"apache\"`, `\"any\"`",
        "`[\"module\", \"nginx\"]`",
    ),
    key("vhost.match", "document_root", "absolute paths", ""),
    key("vhost.match", "script", "absolute paths", ""),
    key("vhost.match", "pool", "pools of PHP-FPM", ""),
    key("vhost.match", "profile", "profiles of the server's modules", ""),
    key("", "vhost", "virtual hosts, `[[vhost]]`", "`[]`"),
];

/// The names of the keys of a table; for a rule those of every rule, too.
pub fn names(table: &str) -> Vec<&'static str> {
    let general = if table.starts_with("rules.") { "rules.NAME" } else { table };
    KEYS.iter().filter(|key| key.table == table || key.table == general).map(|key| key.name).collect()
}

/// The table of docs/configuration.md.
pub fn markdown() -> String {
    let mut out = "| key | value | default |\n| --- | --- | --- |\n".to_owned();
    for key in &KEYS {
        let name = match key.table {
            "" => format!("`{}`", key.name),
            "vhost" => format!("`[[vhost]] {}`", key.name),
            table => format!("`[{table}] {}`", key.name),
        };
        out += &format!("| {name} | {} | {} |\n", key.value, key.default);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables that steer an allowed command.
    fn variables() -> String {
        let mut out =
            "| variable | read by | what it chooses | loader-env | source |\n| --- | --- | --- | --- | --- |\n"
                .to_owned();
        for row in portcullis_policy::startup::ROWS {
            let loads = if row.loads { "yes" } else { "" };
            out += &format!("| `{}` | {} | {} | {loads} | {} |\n", row.name, row.readers, row.effect, row.source);
        }
        out
    }

    #[test]
    fn the_reference_has_the_lists_of_programs() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap().replace('\n', " ");
        let runners = crate::runners::RUNNERS.map(|runner| runner.0).join(", ");
        for listed in [
            format!("Programs of `exec-unguarded`: {}.", crate::lists::UNGUARDED.join(", ")),
            format!("Programs that run any command: {runners}, and every shell of the list above."),
            format!("Of `exec-unguarded` also {}.", crate::runners::MAILERS.join(", ")),
        ] {
            assert!(text.contains(&listed), "docs/configuration.md needs: {listed}");
        }
    }

    /// With PORTCULLIS_UPDATE=1 it writes the tables instead.
    #[test]
    fn the_reference_has_every_key_and_every_variable() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        for (name, expected) in [("keys", markdown()), ("variables", variables())] {
            let text = std::fs::read_to_string(&path).unwrap();
            let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
            let (before, rest) = text.split_once(&begin).unwrap();
            let (table, after) = rest.split_once(&end).unwrap();
            if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
                std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
            } else {
                assert_eq!(table, expected, "PORTCULLIS_UPDATE=1 cargo test -p portcullis-config writes it");
            }
        }
    }
}
