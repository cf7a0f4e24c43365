//! What an applied policy takes away and adds: virtual hosts that left, that are new, and modes that went down or up.

use crate::modes::{self, some};
use crate::out::printable;
use anstyle::{AnsiColor, Style};
use portcullis_config::modes::Modes;
use portcullis_policy::{GLOBAL_SCOPE, Mode, Policy, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LOWERED: Style = AnsiColor::Red.on_default().bold();

/// The name of what is of no virtual host.
const GLOBAL: &str = "";

/// What of a policy is otherwise than in the one before it.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Changes {
    new: Vec<String>,
    gone: Vec<String>,
    /// By what became of the modes: of which virtual hosts.
    lowered: BTreeMap<String, Vec<String>>,
    raised: BTreeMap<String, Vec<String>>,
}

/// The modes of a policy's virtual hosts, by name.
fn by_name(policy: &Policy<'_>) -> BTreeMap<String, Modes> {
    let of = |(index, name): (u32, &[u8])| {
        (String::from_utf8_lossy(name).into_owned(), modes::compiled(policy, policy.vhost_scope(index).0))
    };
    (0_u32..).zip(policy.vhost_names()).map(of).collect()
}

/// The rules that have another mode, in words; the first ones those that have a lower one.
fn differences(was: &Modes, is: &Modes) -> [Option<String>; 2] {
    let mut found: [BTreeMap<(&str, &str), Vec<&str>>; 2] = Default::default();
    let mut note = |was: Mode, is: Mode, word: &'static str| {
        if was != is {
            found[usize::from(is > was)].entry((was.word(), is.word())).or_default().push(word);
        }
    };
    for (rule, (was, is)) in Rule::ALL.into_iter().zip(was.rules.into_iter().zip(is.rules)) {
        note(was, is, rule.word());
    }
    // Where the rule refuses everywhere, it does in these places.
    let place = |modes: &Modes| if modes.grave_places { Mode::Enforce } else { modes.rules[Rule::ExecPlace as usize] };
    if was.grave_places || is.grave_places {
        note(place(was), place(is), "exec-place (memfd, world-writable places)");
    }
    found.map(|found| {
        let of = |((was, is), rules): (&(&str, &str), &Vec<&str>)| {
            let rules = if rules.len() >= Rule::ALL.len() { "every rule".to_owned() } else { rules.join(", ") };
            format!("{was} to {is}: {rules}")
        };
        (!found.is_empty()).then(|| found.iter().map(of).collect::<Vec<_>>().join("; "))
    })
}

impl Changes {
    /// What `now` changes of `before`. The requests of a virtual host that is not there have the global modes.
    pub fn between(before: &Policy<'_>, now: &Policy<'_>) -> Changes {
        let (was, is) = (by_name(before), by_name(now));
        let globals = [before, now].map(|policy| modes::compiled(policy, GLOBAL_SCOPE));
        let mut changes = Changes {
            new: is.keys().filter(|name| !was.contains_key(*name)).cloned().collect(),
            gone: was.keys().filter(|name| !is.contains_key(*name)).cloned().collect(),
            ..Changes::default()
        };
        let names = was.keys().chain(&changes.new).cloned();
        for name in std::iter::once(GLOBAL.to_owned()).chain(names) {
            let [was, is] = [was.get(&name).unwrap_or(&globals[0]), is.get(&name).unwrap_or(&globals[1])];
            let [lowered, raised] = differences(was, is);
            if let Some(what) = lowered {
                changes.lowered.entry(what).or_default().push(name.clone());
            }
            if let Some(what) = raised {
                changes.raised.entry(what).or_default().push(name);
            }
        }
        changes
    }

    /// In words, a line each; a lower mode comes first.
    pub fn said(&self) -> Vec<String> {
        let of = |names: &[String]| {
            let vhosts: Vec<String> = names.iter().filter(|name| *name != GLOBAL).map(|name| printable(name)).collect();
            match (vhosts.len() == names.len(), vhosts.is_empty()) {
                (false, true) => "global".to_owned(),
                (false, false) => format!("global and {}", some(&vhosts, vhosts.len())),
                (true, _) => some(&vhosts, vhosts.len()),
            }
        };
        let mut lines = Vec::new();
        for (what, names) in &self.lowered {
            lines.push(format!("{LOWERED}LOWERED{LOWERED:#} {}: {what}", of(names)));
        }
        for (what, names) in &self.raised {
            lines.push(format!("raised {}: {what}", of(names)));
        }
        for (word, names) in [("gone", &self.gone), ("new", &self.new)] {
            if !names.is_empty() {
                lines.push(format!("{word}: {}: {}", crate::check::counted(names.len(), "virtual host"), of(names)));
            }
        }
        lines
    }

    /// For programs.
    pub fn as_json(&self) -> Value {
        let of = |all: &BTreeMap<String, Vec<String>>| {
            let one = |(what, names): (&String, &Vec<String>)| json!({ "modes": what, "vhosts": names });
            all.iter().map(one).collect::<Vec<Value>>()
        };
        json!({ "new": self.new, "gone": self.gone, "lowered": of(&self.lowered), "raised": of(&self.raised) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_config::{compile, parse_text};
    use std::path::Path;

    fn between(before: &str, now: &str) -> Vec<String> {
        let [before, now] = [before, now].map(|text| compile(&parse_text(Path::new("x"), text).config));
        Changes::between(&Policy::new(&before).unwrap(), &Policy::new(&now).unwrap()).said()
    }

    fn vhost(name: &str, mode: &str) -> String {
        format!("[[vhost]]\nname = \"{name}\"\nmatch = {{ pool = \"{name}\" }}\n{mode}\n")
    }

    #[test]
    fn what_left_what_came_and_what_went_down_is_named() {
        let (shop, blog) = (vhost("shop", ""), vhost("blog", "mode = \"enforce\""));
        assert!(between(&shop, &shop).is_empty());
        assert_eq!(between(&shop, &(shop.clone() + &vhost("wiki", ""))), ["new: 1 virtual host: wiki"]);
        // A virtual host that leaves takes its mode with it.
        let left = between(&(shop.clone() + &blog), &shop);
        assert!(left[0].contains("LOWERED") && left[0].contains("blog: enforce to audit: egress-port"), "{left:?}");
        assert_eq!(left[1], "gone: 1 virtual host: blog");
        let raised = between(&vhost("blog", ""), &blog);
        assert!(raised[0].starts_with("raised blog: audit to enforce: "), "{raised:?}");
        let all = between("mode = \"enforce\"\n", "mode = \"off\"\n");
        assert!(all.len() == 1 && all[0].contains("LOWERED") && all[0].contains(" global: "), "{all:?}");
        let forced = between("mode = \"enforce\"\n", "override = \"audit\"\nmode = \"enforce\"\n");
        assert!(forced[0].contains("LOWERED") && forced[0].contains("enforce to audit"), "{forced:?}");
    }
}
