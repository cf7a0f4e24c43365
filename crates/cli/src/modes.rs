//! The modes of a configuration in words: what overrides them, and what only audits where others refuse.

use portcullis_config::Config;
use portcullis_config::modes::{self, Modes};
use portcullis_policy::{GLOBAL_SCOPE, Mode, Policy, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How to get out of it.
pub const UNDO: &str = "portcullis panic --undo";

/// The modes of a scope of a compiled policy.
pub fn compiled(policy: &Policy<'_>, scope: u32) -> Modes {
    let rules = Rule::ALL.map(|rule| policy.general_mode(scope, rule));
    let place = Rule::ExecPlace;
    Modes { rules, grave_places: policy.mode(scope, place) != policy.general_mode(scope, place) }
}

/// Gives a configuration the mode of a command's `--mode`, unless it has an `override`: whoever sets that wants every server to have it.
pub fn tell(config: &mut Config, told: Option<Mode>) {
    config.force = config.force.or(told);
}

/// What there is to say where an `override` takes precedence over a command's `--mode`.
pub fn untold(config: &Config, told: Option<Mode>) -> Option<String> {
    let (force, told) = (config.force?, told?);
    (force != told).then(|| {
        format!("override = \"{}\" takes precedence over `--mode {}`; help: {UNDO}", force.word(), told.word())
    })
}

/// What there is to say: of `override`, and of each scope in which some rules refuse and others only log. Virtual hosts that are alike
/// are said together.
pub fn said(config: &Config) -> Vec<String> {
    if let Some(mode) = config.force {
        let undo = format!("`{UNDO}` removes it");
        return vec![format!(
            "override = \"{}\" takes precedence over every mode, also of `portcullis run --mode`: nothing is blocked by this configuration; {undo}",
            mode.word()
        )];
    }
    let global = modes::of(&config.global, config);
    let mut said: Vec<String> = global.is_partial().then(|| format!("modes: {}", global.said())).into_iter().collect();
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for vhost in &config.vhosts {
        let own = modes::of(&vhost.scope, config);
        if own != global {
            alike.entry(own.said()).or_default().push(&vhost.name.value);
        }
    }
    said.extend(alike.iter().map(|(words, names)| format!("modes of {}: {words}", some(names, names.len()))));
    said
}

/// How many names are shown.
const SHOWN: usize = 5;

/// The first names of `count`, and how many more there are.
pub fn some<T: AsRef<str>>(names: &[T], count: usize) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = count.saturating_sub(shown.len());
    format!("{}{}", shown.join(", "), if more == 0 { String::new() } else { format!(" and {more} more") })
}

/// Virtual hosts with the same modes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VhostsAlike {
    /// The modes.
    pub modes: Modes,
    /// The first names.
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// The virtual hosts of a compiled policy whose modes are not the global ones.
pub fn differing(policy: &Policy<'_>) -> Vec<VhostsAlike> {
    let global = compiled(policy, GLOBAL_SCOPE);
    let mut alike: Vec<VhostsAlike> = Vec::new();
    for (index, name) in (0_u32..).zip(policy.vhost_names()) {
        let modes = compiled(policy, policy.vhost_scope(index).0);
        if modes == global {
            continue;
        }
        let name = || String::from_utf8_lossy(name).into_owned();
        match alike.iter_mut().find(|known| known.modes == modes) {
            Some(known) => {
                known.count += 1;
                if known.names.len() < SHOWN {
                    known.names.push(name());
                }
            }
            None => alike.push(VhostsAlike { modes, names: vec![name()], count: 1 }),
        }
    }
    alike
}

/// Each rule with its mode.
pub fn json(modes: &Modes) -> Value {
    let of = |rule: Rule| (rule.word().to_owned(), json!(modes.rules[rule as usize].word()));
    Value::Object(Rule::ALL.map(of).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_config::{compile, parse_text};
    use portcullis_policy::Follows;
    use std::path::Path;

    #[test]
    fn what_only_audits_is_said() {
        let of = |text: &str| parse_text(Path::new("x"), text).config;
        let said_of = |text: &str| said(&of(text));
        assert!(said_of("").is_empty() && said_of("mode = \"audit\"").is_empty());
        let words = |mode: Follows| {
            let of_mode = Rule::ALL.into_iter().filter(move |rule| rule.text().mode == mode);
            of_mode.map(Rule::word).collect::<Vec<_>>().join(", ")
        };
        let (follow, others) = (words(Follows::Mode), words(Follows::Nothing));
        let places = ("exec-place (memfd, world-writable places)", "exec-place (other places)");
        assert_eq!(
            said_of("mode = \"enforce\""),
            [format!("modes: enforce: {follow}, {}; audit: {}, {others}", places.0, places.1)]
        );
        let two = "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\nmode = \"off\"\n[[vhost]]\nname = \"b\"\nmatch = { pool = \"b\" }\nmode = \"off\"\n";
        assert_eq!(said_of(two), ["modes of a, b: off for every rule"]);
        let forced = format!("override = \"audit\"\nmode = \"enforce\"\n{two}");
        assert!(said_of(&forced)[0].contains("nothing is blocked"));
        for text in ["mode = \"enforce\"", two, &forced, "mode = \"enforce\"\n[rules.exec-place]\nplaces = [\"/srv\"]"]
        {
            let config = of(text);
            let bytes = compile(&config);
            let policy = Policy::new(&bytes).unwrap();
            assert_eq!(compiled(&policy, GLOBAL_SCOPE).rules, modes::of(&config.global, &config).rules, "{text}");
            assert_eq!(policy.is_overridden(), config.force.is_some());
        }
        let bytes = compile(&of(two));
        let names: Vec<_> = differing(&Policy::new(&bytes).unwrap()).into_iter().map(|alike| alike.names).collect();
        assert_eq!(names, [["a", "b"]]);
    }
}
