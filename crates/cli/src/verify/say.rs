//! What is said of seals.

use super::seals::Seals;
use crate::{check, complain, log, out};
use serde_json::json;
use std::path::Path;

/// Says what was found of seals, beside the chains; gives how many faults that are.
pub fn seals(seals: &Seals, key: &Path, is_json: bool) -> usize {
    let (unsealed, key) = (seals.unsealed(), key.display());
    let is_without_any = seals.is_without_any();
    let since = seals.since().and_then(log::time_text);
    let moment = since.as_deref().unwrap_or("whenever the key was made");
    if is_json && (seals.is_due || since.is_some()) {
        let found = json!({ "unsealed": {
            "is_due": seals.is_due,
            "since": since,
            "is_without_any": is_without_any,
            "missing": unsealed.missing,
            "older": unsealed.older,
            "says_older": unsealed.says_older,
            "says_descendant": unsealed.says_descendant,
        }});
        println!("{}", out::json(&found, false));
    }
    for (count, what) in [
        // Without a key nothing is older.
        (
            if since.is_some() { unsealed.older } else { 0 },
            format!("of the journal from before {moment}, without a seal"),
        ),
        (
            unsealed.says_older,
            match since {
                None => "without a seal, and seals are not asked for: whoever may write to the log may have written them".to_owned(),
                Some(_) => format!(
                    "without a seal, older than {moment} by their own time, since when events are sealed: nothing else does, and \
                     whoever may write to the log may have written them"
                ),
            },
        ),
        (
            unsealed.says_descendant,
            "without a seal, of a program without a key by their own words, which a worker started: nothing else says so, and whoever may \
             write to the log may have written them"
                .to_owned(),
        ),
    ] {
        if count > 0 {
            eprintln!("portcullis: note: not verified: {} {what}", check::counted(count, "event"));
        }
    }
    if is_without_any {
        complain(format_args!(
            "no event has a valid seal, though the configuration asks for seals, since {moment} ({key}): they were taken away, or no \
             server was restarted since"
        ));
    }
    if unsealed.missing > 0 {
        complain(format_args!(
            "{} of servers without a seal, later than {moment} or behind a sealed one: it was taken away, or the server began to \
             serve without the key or with `seal = false` ({})",
            check::counted(unsealed.missing, "event"),
            crate::out::page("events.md")
        ));
    }
    if let Some(lack) = seals.lack().filter(|_| seals.unchecked > 0 || seals.is_due) {
        complain(format_args!("{} sealed, and not checked: {key} {lack}", check::counted(seals.unchecked, "event")));
    }
    if seals.broken > 0 {
        let ids = seals.shown.join(", ");
        complain(format_args!(
            "{} changed after sealing, or sealed with another key: {ids}",
            check::counted(seals.broken, "event")
        ));
    }
    if seals.passed_over > 0 {
        complain(format_args!(
            "{} that look sealed not checked, since so many are broken; help: choose with --since and --until",
            check::counted(seals.passed_over, "more event")
        ));
    }
    unsealed.missing + seals.broken + seals.unchecked + seals.passed_over + usize::from(is_without_any)
}
