//! Asks per entry on a terminal: accept, widen, skip, or show the events.

use super::propose::{List, Proposal};
use super::widen::{self, Wider};
use crate::log::Selection;
use crate::out::{is_terminal, printable};
use crate::{complain, show};
use portcullis_policy::Policy;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

/// How many events of an entry are shown.
const SHOWN: usize = 10;

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Widen,
    Skip,
    Show,
    /// Accept all that is left.
    All,
    Quit,
}

/// Whether somebody is there to be asked.
pub fn is_possible() -> bool {
    is_terminal(false) && std::io::stdin().is_terminal()
}

/// Asks whether to go on.
pub fn confirm(question: &str) -> Result<bool, String> {
    print!("{question} [y/N] ");
    Ok(matches!(line(&mut std::io::stdin().lock())?.as_deref(), Some("y" | "Y" | "yes")))
}

fn line(input: &mut dyn BufRead) -> Result<Option<String>, String> {
    let mut line = String::new();
    match input.read_line(&mut line) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(line.trim().to_owned())),
        Err(error) => Err(format!("cannot read the answer: {error}; nothing was written")),
    }
}

/// The proposals with those entries that were accepted.
pub fn each(
    proposals: BTreeMap<String, Proposal>,
    selection: &Selection,
    policy: &Policy<'_>,
) -> Result<BTreeMap<String, Proposal>, String> {
    let mut input = std::io::stdin().lock();
    choose(proposals, &mut input, &mut |list, text| events_of(selection, policy, list, text))
}

/// Gives the events that an entry is for, as they are shown.
type Show<'s> = &'s mut dyn FnMut(List, &str) -> Result<Vec<String>, String>;

fn choose(
    mut proposals: BTreeMap<String, Proposal>,
    input: &mut dyn BufRead,
    show: Show<'_>,
) -> Result<BTreeMap<String, Proposal>, String> {
    let mut is_all = false;
    for (vhost, proposal) in &mut proposals {
        let mut open = std::mem::take(&mut proposal.entries);
        while let Some(((list, text), evidence)) = open.pop_first() {
            // A pattern that was accepted stands for it.
            if proposal.entries.keys().any(|(of, wide)| *of == list && widen::covers(list, wide, &text)) {
                continue;
            }
            let (path, key) = list.path();
            let wider = proposal.wider.iter().find(|wider| wider.list == list && wider.covers.contains(&text)).cloned();
            let scope = if vhost.is_empty() { "everything" } else { vhost.as_str() };
            println!("[{}] {key}, for {}:\n  {}", path.join("."), printable(scope), printable(&text));
            println!("  {}", printable(&evidence.line()));
            loop {
                match if is_all { Answer::Accept } else { answer(input, wider.as_ref())? } {
                    Answer::Show => match show(list, &text) {
                        Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
                        // What was accepted before is not lost by that.
                        Err(why) => drop(complain(why)),
                    },
                    Answer::Skip => break,
                    Answer::Quit => return Err("nothing was written".to_owned()),
                    Answer::Widen => {
                        let text = wider.as_ref().map_or(&text, |wider| &wider.text);
                        proposal.entries.insert((list, text.clone()), evidence);
                        break;
                    }
                    kind => {
                        is_all |= kind == Answer::All;
                        proposal.entries.insert((list, text), evidence);
                        break;
                    }
                }
            }
        }
    }
    proposals.retain(|_, proposal| !proposal.entries.is_empty());
    Ok(proposals)
}

fn answer(input: &mut dyn BufRead, wider: Option<&Wider>) -> Result<Answer, String> {
    loop {
        let wide = wider.map_or(String::new(), |wider| format!(", (w)iden to {}", printable(&wider.text)));
        print!("  (a)ccept{wide}, (s)kip, show the (e)vents, accept (A)ll, (q)uit? ");
        return Ok(match line(input)?.as_deref() {
            Some("a") => Answer::Accept,
            Some("w") if wider.is_some() => Answer::Widen,
            Some("s") => Answer::Skip,
            Some("e") => Answer::Show,
            Some("A") => Answer::All,
            None | Some("q") => Answer::Quit,
            Some(_) => continue,
        });
    }
}

/// The first events that an entry is for.
fn events_of(selection: &Selection, policy: &Policy<'_>, list: List, text: &str) -> Result<Vec<String>, String> {
    let (mut shown, mut more) = (Vec::new(), 0);
    selection.read_again(&mut |event| {
        let is_of_it = super::propose::entries(&event, policy).is_ok_and(|all| {
            all.iter().any(|(of, entry)| *of == list && (entry == text || widen::covers(list, text, entry)))
        });
        match is_of_it {
            true if shown.len() < SHOWN => shown.push(show::event(&event)),
            true => more += 1,
            false => {}
        }
    })?;
    if more > 0 {
        shown.push(format!("  and {more} more"));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Evidence;
    use super::*;

    fn chosen(answers: &str) -> Result<(Vec<String>, usize), String> {
        let mut proposal = Proposal::default();
        for text in ["192.88.1.1:25", "192.88.1.2:25", "192.88.1.3:25", "a.example:587"] {
            proposal.entries.insert((List::Egress, text.to_owned()), Evidence { count: 2, ..Evidence::default() });
        }
        proposal.wider = widen::wider(&proposal);
        let mut shown = 0;
        let mut show = |_: List, _: &str| {
            shown += 1;
            Ok(Vec::new())
        };
        let all = choose([("shop".to_owned(), proposal)].into(), &mut answers.as_bytes(), &mut show)?;
        let texts = all.into_values().flat_map(|proposal| proposal.entries.into_keys()).map(|(_, text)| text);
        Ok((texts.collect(), shown))
    }

    #[test]
    fn each_entry_is_asked_for() {
        let texts = |answers: &str| chosen(answers).unwrap();
        assert_eq!(texts("a\ns\nx\ns\ne\na\n"), (vec!["192.88.1.1:25".to_owned(), "a.example:587".to_owned()], 1));
        // What a pattern covers is not asked for again.
        assert_eq!(texts("w\ns\n"), (vec!["192.88.1.0/24:25".to_owned()], 0));
        assert_eq!(texts("s\nA\n").0.len(), 3);
        assert_eq!(texts("s\ns\ns\ns\n").0.len(), 0);
        // Nobody answers: nothing is written.
        assert!(chosen("a\n").is_err() && chosen("a\nq\n").is_err());
    }
}
