//! What is said of a containment, for people or for programs.

use super::calls::{Case, Verdicts};
use super::record::Record;
use super::running::{Former, Running};
use super::site::Plan;
use super::units::Reloaded;
use crate::arguments::Contain;
use crate::explain::Request;
use crate::install::plan::Change;
use crate::text::quoted;
use crate::{FINE, WRONG, complain, incidents, out};
use anstyle::Style;
use portcullis_story::CUT;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Component, Path};

const BOLD: Style = Style::new().bold();

/// What is known so far.
pub struct Outcome<'a> {
    arguments: &'a Contain,
    id: &'a str,
    case: Option<&'a Case>,
    plans: &'a [Plan],
    /// What each new policy would decide, and what each applied one does.
    pub expected: Vec<Verdicts>,
    pub verified: Vec<Verdicts>,
    reloaded: Reloaded,
    problems: Vec<String>,
    evidence: Option<String>,
    /// The containment of before.
    pub undo: Option<String>,
}

impl<'a> Outcome<'a> {
    pub fn new(arguments: &'a Contain, id: &'a str, case: Option<&'a Case>, plans: &'a [Plan]) -> Outcome<'a> {
        Outcome {
            arguments,
            id,
            case,
            plans,
            expected: Vec::new(),
            verified: Vec::new(),
            reloaded: Reloaded::default(),
            problems: Vec::new(),
            evidence: None,
            undo: None,
        }
    }

    /// Shows what is to change, and what that blocks.
    pub fn show_plan(&self) {
        if self.arguments.json {
            return;
        }
        if let Some(case) = self.case {
            println!("{}", incidents::title(&case.incident));
            case.notes.iter().for_each(|note| eprintln!("portcullis: note: {note}"));
        }
        for (plan, expected) in self.plans.iter().zip(&self.expected) {
            plan.sites.iter().for_each(|site| println!("{}", site.line()));
            if plan.unknown > 0 {
                println!("of some requests the site is not known: the strictest policy of all decides on those");
            }
            if plan.global > 0 {
                println!("NOT some calls of which no site is known: the global policy decides on those");
                println!("  for every site: portcullis install UNIT --mode enforce");
            }
            for (path, text) in &plan.edits {
                Change::Write(path.clone(), text.clone()).show();
            }
            if !plan.edits.is_empty() {
                println!("Compared with the applied policy:");
                plan.changes.iter().for_each(|line| println!("  {line}"));
            }
            // After a change of nothing, what is in force is verified below.
            if !plan.edits.is_empty() {
                expected.said("would be").iter().for_each(|line| println!("{line}"));
            }
        }
    }

    /// Ends a run that changes nothing.
    pub fn finish_dry(&self) {
        if self.arguments.json {
            println!("{}", out::json(&self.json("would be contained", None), true));
        } else if self.plans.iter().all(|plan| plan.edits.is_empty()) {
            println!("It is contained already.");
        } else {
            println!("Nothing was changed.");
        }
    }

    pub fn evidence(&mut self, (said, problems): (String, Vec<String>)) {
        if !self.arguments.json {
            println!("{said}");
        }
        self.evidence = Some(said);
        self.problems.extend(problems.into_iter().map(|why| format!("evidence: {why}")));
    }

    /// Notes which containment of before was of the same. One of another site may have changed the same file, and is not to be undone.
    pub fn already(&mut self, records: &[Record], of: &str) {
        // An incident that has grown may have another ID since, and has the former one as a name.
        let names: Vec<String> = self.case.into_iter().flat_map(|case| case.incident.names()).collect();
        let is_same = |record: &&Record| {
            let name = record.what.strip_prefix("incident ");
            record.what == of || name.is_some_and(|name| names.iter().any(|known| known == name))
        };
        self.undo = records.iter().rev().find(is_same).map(|record| record.id.clone());
    }

    pub fn units(&mut self, reloaded: Reloaded) {
        if !self.arguments.json {
            reloaded.fine.iter().for_each(|line| println!("{line}"));
        }
        self.problems.extend(reloaded.problems.iter().cloned());
        self.reloaded = reloaded;
    }

    /// The processes with the policy of before.
    pub fn former(&self) -> Former {
        Former { workers: self.reloaded.former.clone(), by_hand: self.reloaded.by_hand.clone() }
    }

    /// Commands that take the scripts of the incident out of reach. Their names come from an attacker, and a command is printed only.
    fn moves(&self) -> Vec<String> {
        let Some(case) = self.case else { return Vec::new() };
        let name = self.undo.as_deref().unwrap_or(self.id);
        moves(&case.own, name)
    }

    /// Says what is done and what is not; gives the exit status.
    pub fn finish(&mut self, running: &Running, is_new: bool) -> u8 {
        if is_new {
            self.undo = Some(self.id.to_owned());
        }
        if self.verified.iter().any(|verdicts| !verdicts.is_all()) {
            self.problems.push("the applied policy does not block every call, see above".to_owned());
        }
        self.problems.extend(running.lacks.iter().cloned());
        let is_done = self.problems.is_empty();
        let state = match (is_done, is_new) {
            (false, _) => "not contained as a whole",
            (true, true) => "contained",
            (true, false) => "contained already",
        };
        if self.arguments.json {
            println!("{}", out::json(&self.json(state, Some(running)), true));
            return if is_done { FINE } else { WRONG };
        }
        for verdicts in &self.verified {
            let whose = if self.case.is_some() { "of the incident" } else { "of a web shell" };
            // What no server has reloaded is in no server's force.
            let is_in_force = self.reloaded.problems.is_empty() && !self.reloaded.fine.is_empty();
            let since = if is_in_force { "now" } else { "will be, by the applied policy," };
            verdicts.said(&format!("{whose} {since}")).iter().for_each(|line| println!("{line}"));
        }
        running.print(self.undo.as_deref().unwrap_or(self.id));
        let moves = self.moves();
        if !moves.is_empty() {
            println!("\nTo take the script out of reach, if it is not a part of the site:");
            moves.iter().for_each(|command| println!("  {command}"));
        }
        if let Some(id) = &self.undo {
            println!("\nTo undo it: portcullis contain --undo {id}");
        }
        match is_done {
            true => println!("{BOLD}The site is {state}.{BOLD:#}"),
            false => {
                for problem in &self.problems {
                    complain(problem);
                }
                complain("the site is not contained as a whole: see the lines above");
            }
        }
        if is_done { FINE } else { WRONG }
    }

    fn json(&self, state: &str, running: Option<&Running>) -> Value {
        let plans = self.plans.iter().map(|plan| {
            let sites = plan.sites.iter().map(|site| {
                json!({
                    "vhost": site.name, "file": site.file.display().to_string(), "new": site.is_new, "selected_by": site.selects,
                    "note": site.note,
                })
            });
            json!({
                "config": plan.main.display().to_string(), "sites": sites.collect::<Vec<_>>(),
                "changes": plan.edits.iter().map(|(path, text)| json!({ "file": path.display().to_string(), "text": text })).collect::<Vec<_>>(),
            })
        });
        let verdicts = |all: &[Verdicts]| all.iter().map(Verdicts::as_json).collect::<Vec<_>>();
        json!({
            "state": state,
            "id": self.undo.as_deref().unwrap_or(self.id),
            "incident": self.case.map(|case| incidents::as_json(&case.incident)),
            "configurations": plans.collect::<Vec<_>>(),
            "expected": verdicts(&self.expected),
            "verified": verdicts(&self.verified),
            "units": self.reloaded.json,
            "evidence": self.evidence,
            "moves": self.moves(),
            "running": running.map(|running| running.as_json(self.undo.as_deref().unwrap_or(self.id))),
            "undo": self.undo.as_ref().map(|id| format!("portcullis contain --undo {id}")),
            "problems": self.problems,
            "notes": self.case.map(|case| &case.notes),
        })
    }
}

/// Where scripts are put that are taken out of reach.
const OUT_OF_REACH: &str = "/root/portcullis-";

/// Commands that move the scripts of requests away. An event may name any path, so it has to be a file below the document root of its own
/// request; one of which only the beginning is known is none. mv(1) says nothing where there is something already, so that place is free.
fn moves(own: &BTreeSet<Request>, name: &str) -> Vec<String> {
    let is_of_site = |request: &&Request| {
        let (script, root) = (Path::new(&request.script), Path::new(&request.document_root));
        let is_below = root.components().count() > 1 && script.starts_with(root);
        is_below
            && !script.components().any(|part| part == Component::ParentDir)
            && !request.script.ends_with(CUT)
            && std::fs::symlink_metadata(script).is_ok_and(|meta| meta.is_file())
    };
    let scripts: BTreeSet<&String> = own.iter().filter(is_of_site).map(|request| &request.script).collect();
    let places = (1_usize..).map(|number| format!("{OUT_OF_REACH}{name}-{number}"));
    let free = places.filter(|place| std::fs::symlink_metadata(place).is_err());
    scripts.into_iter().zip(free).map(|(script, place)| format!("mv -nT -- {} {place}", quoted(script))).collect()
}

/// Says that a containment is undone; gives the exit status.
pub fn undone(record: &Record, reloaded: Reloaded, is_json: bool) -> u8 {
    let is_done = reloaded.problems.is_empty();
    if is_json {
        let state = if is_done { "undone" } else { "undone, but not in force everywhere" };
        let files: Vec<String> = record.files.iter().map(|file| file.path.display().to_string()).collect();
        let value = json!({
            "state": state, "id": record.id, "files": files, "units": reloaded.json, "problems": reloaded.problems,
        });
        println!("{}", out::json(&value, true));
    } else {
        reloaded.fine.iter().for_each(|line| println!("{line}"));
        for problem in &reloaded.problems {
            complain(problem);
        }
        println!("Every file is as it was before containment {}.", record.id);
    }
    if is_done { FINE } else { WRONG }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a script comes from an attacker: the command moves that file and does nothing else.
    #[test]
    fn a_script_is_moved_by_a_shell_as_it_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let hostile = "-a'$(touch more)\n;\u{1b}[2J.php";
        std::fs::write(at(hostile), "<?php").expect("a file");
        let root = folder.path().display().to_string();
        let of = |script: String, root: &str| Request { script, document_root: root.to_owned(), ..Request::default() };
        std::fs::create_dir(at("directory")).expect("a directory");
        let own = BTreeSet::from([
            of(at(hostile), &root),
            of(at("gone.php"), &root),
            of(at("directory"), &root),
            of("relative.php".to_owned(), &root),
            of(format!("{}{CUT}", at(hostile)), &root),
            of("/etc/passwd".to_owned(), &root),
            of("/etc/passwd".to_owned(), "/"),
            of("/etc/passwd".to_owned(), ""),
            of(format!("{root}/../../etc/passwd"), &root),
        ]);
        let commands = moves(&own, "3f2a9c1e00000000");
        std::fs::remove_dir(at("directory")).expect("a directory");
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert!(commands[0].ends_with(" /root/portcullis-3f2a9c1e00000000-1"), "{commands:?}");
        let here = commands[0].replace("/root/", &format!("{}/", folder.path().display()));
        let done = std::process::Command::new("bash").args(["-c", &here]).current_dir(folder.path()).status();
        assert!(done.expect("bash").success(), "{here}");
        let left: Vec<String> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, ["portcullis-3f2a9c1e00000000-1"]);
    }
}
