//! What is proposed, and what is not, as text and as JSON.

use super::edit;
use super::evidence::Evidence;
use super::grouped;
use super::learner::{Counts, Learnt};
use crate::check::counted;
use crate::out::comment;
use portcullis_config::Config;

/// What is said where nothing is proposed.
pub fn nothing(learnt: &Learnt) -> String {
    let counts = &learnt.counts;
    let is_all_allowed = learnt.proposals.is_empty() && counts.blocked == 0;
    let mut out = match is_all_allowed {
        _ if counts.events == 0 => comment("", "No entries to propose: there are no events to learn from."),
        true => comment("", "No entries to propose: the policy already allows every recorded event."),
        false => comment("", "No entries to propose."),
    };
    out += &skipped(counts);
    out
}

/// What was left out, in comments.
fn skipped(counts: &Counts) -> String {
    let mut parts = vec![counted(counts.events, "event")];
    for (number, what) in [
        (counts.allowed, "allowed by the policy as it is"),
        (counts.blocked, "blocked (--blocked learns from them)"),
        (counts.withheld, "withheld as parts of an intrusion"),
        (counts.own, "of Portcullis itself"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let merged = merged(counts).map(|text| comment("", &text)).unwrap_or_default();
    if counts.events == 0 { merged } else { comment("", &format!("Read: {}", parts.join("; "))) + &merged }
}

/// What is not known of the commands that were run; `None` where all are in the log.
pub fn merged(counts: &Counts) -> Option<String> {
    let which = "merged into events of the same program: no event has their arguments, and the proposal may lack \
                 some. With `merge = false` in `[log]`, every command is written";
    (counts.merged > 0).then(|| {
        format!("{} {} {which}", counted(counts.merged, "call"), if counts.merged == 1 { "was" } else { "were" })
    })
}

/// The proposals for people: a part for each scope.
pub fn text(learnt: &Learnt, config: &Config) -> Result<String, String> {
    let proposals = &learnt.proposals;
    let mut out = String::new();
    for (vhost, proposal) in proposals {
        let place = config.vhosts.iter().find(|known| known.name.value == *vhost);
        let of =
            match place.and_then(|known| known.name.origin.file.as_ref().map(|file| (file, known.name.origin.line))) {
                Some((file, line)) => format!("For the virtual host {vhost} ({}:{line})", file.display()),
                None if vhost.is_empty() => "For everything that has no virtual host of the policy".to_owned(),
                None => format!("For the virtual host {vhost}, which the policy does not have any more"),
            };
        out += &comment("", &of);
        out += &edit::alone(!vhost.is_empty(), &grouped::listed(proposal))?;
        out += &grouped::comments(proposal);
        out += "\n";
    }
    if proposals.values().all(|proposal| proposal.entries.is_empty()) {
        out += &nothing(learnt);
    } else {
        out += &skipped(&learnt.counts);
    }
    if proposals.values().any(|proposal| !proposal.rare.is_empty()) {
        out += "# SEEN TOO LITTLE: only once, from one client or within ten minutes. --include-rare proposes all of it, --include 'ENTRY' one entry.\n";
    }
    if proposals.values().any(|proposal| !proposal.withheld.is_empty()) {
        out += "# What is NOT proposed is suspicious, could not be evaluated, or has no list. To propose an entry that is named above anyway, add --include 'ENTRY'.\n";
    }
    for client in &learnt.busy {
        let text = format!(
            "{client}, the client of an intrusion, made most of the events. If it is a proxy: --proxy {client} takes it for no client"
        );
        out += &comment("", &text);
    }
    Ok(out)
}

/// The proposals for programs.
pub fn as_json(learnt: &Learnt) -> serde_json::Value {
    use serde_json::json;
    let evidence = |evidence: &Evidence| {
        let (first, last) = evidence.moments();
        json!({
            "count": evidence.count, "first": first, "last": last, "scripts": evidence.scripts,
            "clients": evidence.clients, "transports": evidence.transports, "example": evidence.example, "note": evidence.note,
        })
    };
    let all = learnt.proposals.iter().map(|(vhost, proposal)| {
        let list = |list: super::propose::List| {
            let (path, key) = list.path();
            format!("{}.{key}", path.join("."))
        };
        let entries = proposal
            .entries
            .iter()
            .map(|((of, text), seen)| json!({ "list": list(*of), "entry": text, "evidence": evidence(seen) }));
        let rare = proposal.rare.iter().map(|((of, text), seen)| {
            json!({ "list": list(*of), "entry": text, "why": seen.too_little(), "evidence": evidence(seen) })
        });
        let withheld = proposal
            .withheld
            .iter()
            .map(|((what, why), seen)| json!({ "what": what, "why": why, "evidence": evidence(seen) }));
        let wider = proposal
            .wider
            .iter()
            .map(|wider| json!({ "list": list(wider.list), "entry": wider.text, "replaces": wider.covers.len() }));
        let rest = proposal.rest.iter().map(|(kind, seen)| json!({ "kind": kind, "evidence": evidence(seen) }));
        json!({
            "vhost": if vhost.is_empty() { None } else { Some(vhost) },
            "proposed": entries.collect::<Vec<_>>(),
            "seen_too_little": rare.collect::<Vec<_>>(),
            "withheld": withheld.collect::<Vec<_>>(),
            "wider": wider.collect::<Vec<_>>(),
            "not_listed": rest.collect::<Vec<_>>(),
        })
    });
    all.collect()
}
