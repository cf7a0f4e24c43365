//! `portcullis ps`: every process that descends from a guarded worker and still runs, with the request that started it.

use crate::arguments::Ps;
use crate::out::printable;
use crate::status::descendants::{self, Machine};
use crate::status::lineage::{self, Descent};
use crate::status::process::{self, Process, Seen};
use crate::status::{self, claim, lacks};
use crate::{FINE, WRONG, check, complain, install};
use anstyle::Style;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

const HEADS: [&str; 8] = ["PID", "AGE", "USER", "PROGRAM", "VHOST", "REQUEST", "CLIENT", "PARENT"];
/// The widest cell to which others are aligned.
const WIDTH_MAX: usize = 40;

/// The whole name of a unit, as other verbs take one: `php-fpm` is the only unit of PHP-FPM.
fn whole(unit: &str) -> String {
    // A scope has a type, and no file.
    if [".scope", ".slice", ".socket", ".timer"].iter().any(|kind| unit.ends_with(kind)) {
        return unit.to_owned();
    }
    install::unit::Unit::find(Path::new("/"), unit)
        .map_or_else(|_| format!("{}.service", unit.trim_end_matches(".service")), |found| found.name)
}

/// Lists them.
pub fn run(arguments: &Ps) -> u8 {
    let Seen { processes: mut all, is_settled } = process::all();
    let mains = status::mains(&all);
    lineage::trace(&mut all, &mains);
    let mut lacks = lacks(&all, is_settled);
    let unit = arguments.unit.as_deref().map(whole);
    if let Some(unit) = unit.as_deref().filter(|unit| all.iter().all(|process| process.unit != *unit)) {
        return complain(format!("no process of `{unit}` runs; help: `portcullis status` lists the guarded units"));
    }
    let installed = install::installed(Path::new("/"));
    lacks.extend(unknown_units(&all, unit.as_deref(), &installed));
    let mixed = mixed(&all, unit.as_deref(), &installed);
    lacks.extend(mixed.iter().map(|(unit, members)| mixed_said(unit, members)));
    let of_unit = descendants::of(all.iter().filter(|process| unit.as_ref().is_none_or(|unit| process.unit == *unit)));
    let found = of_unit.iter().copied().filter(|(_, descent)| is_wanted(descent, arguments)).collect::<Vec<_>>();
    // A request that is not known may be the one that is asked for.
    let unknown = of_unit.iter().filter(|(_, descent)| may_be_wanted(descent, arguments)).count();
    let machine = Machine::here();
    // A partial answer says so wherever the answer goes.
    lacks.iter().for_each(|lack| eprintln!("portcullis: {}", printable(lack)));
    if arguments.json {
        let found: Vec<Value> =
            found.iter().map(|(process, descent)| descendants::json(process, descent, &machine)).collect();
        println!(
            "{}",
            crate::out::json(
                &json!({
                    "processes": found, "left_out_unknown": unknown, "unguarded": unguarded_json(&mixed), "complete": lacks.is_empty(), "lacks": lacks,
                }),
                true
            )
        );
    } else {
        // Of nothing found where something could not be read, nothing follows.
        if !found.is_empty() || lacks.is_empty() {
            let nothing = match (is_guarded(&all), arguments.vhost.is_some() || arguments.request.is_some()) {
                (false, _) => "No guarded server is running.",
                (true, true) => "No process that a worker started is running with that virtual host or request.",
                (true, false) => "No process that a worker started is running.",
            };
            print(&found, &machine, nothing);
        }
        if unknown != 0 {
            let more = check::counted(unknown, "more process");
            println!("{more} with an unknown virtual host or request; `portcullis ps` lists all.");
        }
    }
    if let Some(name) = arguments.vhost.as_deref().filter(|name| !name.is_empty() && found.is_empty()) {
        let mut known = vhosts(&all);
        if !known.contains(name) {
            known.extend(status::applied_vhosts());
        }
        if !known.contains(name) {
            return complain(check::no_vhost(name, known));
        }
    }
    if lacks.is_empty() { FINE } else { WRONG }
}

/// Whether a process has the guard, or descends from one that had it.
fn is_guarded<'p>(processes: impl IntoIterator<Item = &'p Process>) -> bool {
    processes.into_iter().any(|process| process.guard.is_ok() || process.descent.is_some())
}

/// Which of the units that are meant, the one that was asked for or those that are installed, run without the guard: of their
/// processes nobody knows which a worker started.
fn unknown_units(all: &[Process], asked: Option<&str>, installed: &[String]) -> Vec<String> {
    let meant: Vec<&str> = match asked {
        Some(unit) => vec![unit],
        None => installed.iter().map(String::as_str).collect(),
    };
    let said = |unit: &str| {
        let own = || all.iter().filter(|process| process.unit == unit && process.container.is_none());
        let is_known = own().any(|process| process.unread.is_some()) || is_guarded(own());
        let how = match installed.iter().any(|name| name == unit) {
            true => "systemctl restart",
            false => "portcullis install --now",
        };
        let unit = printable(unit);
        (own().next().is_some() && !is_known).then(|| {
            format!("incomplete: {unit} is not guarded, and what its workers started is unknown; help: {how} {unit}")
        })
    };
    meant.into_iter().filter_map(said).collect()
}

/// The units that are meant, the one that was asked for or those that are installed, in which some of the server's own processes have
/// the guard and others have not: of these, nobody knows what they started.
fn mixed<'p>(all: &'p [Process], asked: Option<&str>, installed: &[String]) -> BTreeMap<&'p str, Vec<&'p Process>> {
    let mut mixed: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    let is_meant = |process: &&Process| match asked {
        Some(unit) => process.unit == unit,
        None => installed.contains(&process.unit),
    };
    for process in all.iter().filter(is_meant).filter(|process| process.container.is_none()) {
        mixed.entry(&process.unit).or_default().push(process);
    }
    // A unit without any is another matter, and what a worker started is known.
    mixed.retain(|_, members| is_guarded(members.iter().copied()));
    let is_own = |process: &&Process| !process.is_supervisor && process.unread.is_none() && process.descent.is_none();
    for members in mixed.values_mut() {
        members.retain(|process| is_own(process));
    }
    mixed.retain(|_, members| members.iter().any(|process| process.guard.is_err()));
    mixed
}

/// Which of the processes of such a unit have the guard.
fn mixed_said(unit: &str, members: &[&Process]) -> String {
    let of = |is_guarded: bool| {
        let with = members.iter().filter(|process| process.guard.is_ok() == is_guarded);
        let names: Vec<String> =
            with.map(|process| format!("{} {}", process.pid, printable(&process.facts.name))).collect();
        crate::modes::some(&names, names.len())
    };
    let guarded = of(true);
    let guarded = if guarded.is_empty() { "none".to_owned() } else { guarded };
    let unit = printable(unit);
    format!(
        "incomplete: of the processes of {unit} itself, guarded: {guarded}; not guarded: {}, and what these started is unknown; \
         help: systemctl restart {unit}",
        of(false)
    )
}

/// Those of them without the guard, for programs.
fn unguarded_json(mixed: &BTreeMap<&str, Vec<&Process>>) -> Vec<Value> {
    let all = mixed.values().flatten();
    all.filter_map(|process| {
        let why = process.guard.as_ref().err()?;
        let (name, command) = (&process.facts.name, &process.command);
        Some(json!({ "pid": process.pid, "unit": process.unit, "name": name, "command": command, "why": why }))
    })
    .collect()
}

/// The virtual hosts of the processes, whatever was asked for.
fn vhosts(all: &[Process]) -> BTreeSet<String> {
    let descents = all.iter().filter_map(|process| process.descent.as_ref()?.vhost.as_ref());
    descents.map(|vhost| vhost.name().to_owned()).collect()
}

/// What a process is known to have of what is asked for: both answers are `None` where that is unknown.
fn answers(descent: &Descent, arguments: &Ps) -> [Option<bool>; 2] {
    let vhost = || match descent.vhost.as_ref()? {
        claim::Vhost::Unknown => None,
        other => Some(arguments.vhost.as_deref() == Some(other.name())),
    };
    let id = || descent.request.as_ref().and_then(|(_, request)| claim::id(request));
    [
        if arguments.vhost.is_some() { vhost() } else { Some(true) },
        match &arguments.request {
            Some(wanted) => id().map(|id| id == wanted.to_ascii_lowercase()),
            None => Some(true),
        },
    ]
}

fn is_wanted(descent: &Descent, arguments: &Ps) -> bool {
    answers(descent, arguments).iter().all(|answer| *answer == Some(true))
}

fn may_be_wanted(descent: &Descent, arguments: &Ps) -> bool {
    let answers = answers(descent, arguments);
    answers.contains(&None) && !answers.contains(&Some(false))
}

/// Prints descendants by unit; `nothing` where there are none.
pub fn print(found: &[(&Process, &Descent)], machine: &Machine, nothing: &str) {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (process, descent) in found {
        groups.entry((&process.unit, &process.container)).or_default().push((process, descent));
    }
    if groups.is_empty() {
        println!("{nothing}");
    }
    for (number, ((unit, container), members)) in groups.into_iter().enumerate() {
        let name = status::named(unit, container.as_ref());
        println!("{}{BOLD}{name}{BOLD:#}", if number == 0 { "" } else { "\n" });
        let rows: Vec<[String; 8]> =
            members.iter().map(|(process, descent)| descendants::cells(process, descent, machine)).collect();
        let wide = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count()).filter(|width| *width <= WIDTH_MAX);
            cells.chain([HEADS[column].len()]).max().unwrap_or(0)
        };
        let widths: [usize; 8] = std::array::from_fn(wide);
        let aligned = |row: [&str; 8]| {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        println!("  {}", aligned(HEADS));
        for (row, (process, descent)) in rows.iter().zip(&members) {
            println!("  {}", aligned(std::array::from_fn(|column| row[column].as_str())));
            println!("    {}", printable(&process.command));
            println!("    {DIM}{}{DIM:#}", descendants::notes(process, descent).join("; "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claim::Vhost;

    #[test]
    fn a_unit_without_the_guard_is_unknown_and_not_empty() {
        let of = |unit: &str, is_guarded: bool| {
            let mut process = status::process_of_x(7, 5, false);
            process.unit = unit.into();
            if !is_guarded {
                process.guard = Err("no guard".into());
            }
            process
        };
        let all = [of("bare.service", false), of("bare.service", false), of("x.service", true), of("x.service", false)];
        let installed = ["x.service", "stopped.service"].map(str::to_owned);
        let [said] = unknown_units(&all, Some("bare.service"), &installed).try_into().expect("one");
        assert!(said.starts_with("incomplete: bare.service is not guarded"), "{said}");
        assert!(said.ends_with("portcullis install --now bare.service"), "{said}");
        for asked in [Some("x.service"), None] {
            assert_eq!(unknown_units(&all, asked, &installed), [""; 0], "{asked:?}");
        }
        let [said] = unknown_units(&all, None, &["bare.service".into()]).try_into().expect("one");
        assert!(said.ends_with("systemctl restart bare.service"), "{said}");
        assert!(is_guarded(&all) && !is_guarded(&all[..2]));
        // What ran on when its worker ended.
        let mut left = of("bare.service", false);
        left.descent = Some(Descent::default());
        assert_eq!(unknown_units(&[left], Some("bare.service"), &[]), [""; 0]);
    }

    #[test]
    fn a_unit_with_and_without_the_guard_is_told_apart_and_incomplete() {
        let of = |unit: &str, pid: u32, is_guarded: bool| {
            let mut process = status::process_of_x(7, 5, false);
            (process.unit, process.pid) = (unit.into(), pid);
            process.facts.name = "php".into();
            if !is_guarded {
                process.guard = Err("no guard".into());
            }
            process
        };
        let mut started = of("x.service", 12, false);
        started.descent = Some(Descent::default());
        let mut all = vec![
            of("x.service", 10, true),
            of("x.service", 11, false),
            started,
            of("bare.service", 20, false),
            of("other.service", 30, true),
            of("other.service", 31, false),
        ];
        let installed = ["x.service", "bare.service"].map(str::to_owned);
        for asked in [None, Some("x.service")] {
            let mixed = mixed(&all, asked, &installed);
            assert_eq!(mixed.keys().collect::<Vec<_>>(), [&"x.service"]);
            let said = mixed_said("x.service", &mixed["x.service"]);
            assert!(said.contains("guarded: 10 php; not guarded: 11 php, and what these started is unknown"), "{said}");
            let [one] = unguarded_json(&mixed).try_into().expect("one");
            assert_eq!((&one["pid"], &one["why"]), (&json!(11), &json!("no guard")));
        }
        assert!(mixed(&all, Some("bare.service"), &installed).is_empty());
        assert_eq!(mixed(&all, Some("other.service"), &installed).len(), 1);
        // One that could not be looked at is said to be that.
        all[1].unread = Some(process::Unknown::Denied);
        assert!(mixed(&all, None, &installed).is_empty());
    }

    #[test]
    fn what_is_unknown_is_counted_and_not_left_out_in_silence() {
        let asked =
            |vhost: Option<&str>| Ps { unit: None, json: false, vhost: vhost.map(str::to_owned), request: None };
        let of = |vhost: Option<Vhost>| Descent { vhost, ..Descent::default() };
        let shop = asked(Some("shop"));
        let named = of(Some(Vhost::Named("shop".into())));
        assert!(is_wanted(&named, &shop) && !may_be_wanted(&named, &shop));
        for unknown in [of(None), of(Some(Vhost::Unknown))] {
            assert!(!is_wanted(&unknown, &shop) && may_be_wanted(&unknown, &shop));
            assert!(is_wanted(&unknown, &asked(None)));
        }
        let outside = of(Some(Vhost::Outside));
        assert!(!is_wanted(&outside, &shop) && !may_be_wanted(&outside, &shop));
        assert!(is_wanted(&outside, &asked(Some(""))));
    }
}
