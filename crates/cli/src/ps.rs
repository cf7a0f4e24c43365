//! `portcullis ps`: every process that descends from a guarded worker and still runs, with the request that started it.

use crate::arguments::Ps;
use crate::out::printable;
use crate::status::descendants::{self, Machine};
use crate::status::lineage::{self, Descent};
use crate::status::process::{self, Process};
use crate::status::{self, claim, lacks};
use crate::{FINE, WRONG, check, complain};
use anstyle::Style;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

const HEADS: [&str; 8] = ["PID", "AGE", "USER", "PROGRAM", "VHOST", "REQUEST", "CLIENT", "PARENT"];
/// The widest cell to which others are aligned.
const WIDTH_MAX: usize = 40;

/// Whether the name of a unit has its type: `php8.2-fpm` has none.
fn is_whole(unit: &str) -> bool {
    [".service", ".scope", ".slice", ".socket", ".timer"].iter().any(|kind| unit.ends_with(kind))
}

/// Lists them.
pub fn run(arguments: &Ps) -> u8 {
    let mut all = process::all();
    let mains = status::mains(&all);
    lineage::trace(&mut all, &mains);
    let lacks = lacks(&all);
    let unit =
        arguments.unit.as_deref().map(|unit| if is_whole(unit) { unit.to_owned() } else { format!("{unit}.service") });
    if let Some(unit) = unit.as_deref().filter(|unit| all.iter().all(|process| process.unit != *unit)) {
        return complain(format!("no process of `{unit}` runs; help: `portcullis status` lists the guarded units"));
    }
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
                    "processes": found, "left_out_unknown": unknown, "complete": lacks.is_empty(), "lacks": lacks,
                }),
                true
            )
        );
    } else {
        // Of nothing found where something could not be read, nothing follows.
        if !found.is_empty() || lacks.is_empty() {
            print(&found, &machine, arguments.vhost.is_some() || arguments.request.is_some());
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

fn print(found: &[(&Process, &Descent)], machine: &Machine, is_filtered: bool) {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (process, descent) in found {
        groups.entry((&process.unit, &process.container)).or_default().push((process, descent));
    }
    if groups.is_empty() {
        match is_filtered {
            true => println!("No process that a worker started is running with that virtual host or request."),
            false => println!("No process that a worker started is running."),
        }
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
