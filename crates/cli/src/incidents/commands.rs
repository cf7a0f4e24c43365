//! What to type next about an incident.

use crate::check;
use crate::log::Selection;
use crate::text::quoted;
use portcullis_config::reading::{self, Links};
use portcullis_story::{CUT, Incident, Outcome};
use std::path::Path;
use std::rc::Rc;

/// So many clients have a command each; of others it is said how many there are.
const CLIENTS: usize = 5;

/// Commands that go on from here. Their values come from an attacker: each is one word for a shell. A value of which only the beginning is
/// known chooses nothing, and is in none of them.
pub fn commands(selection: &Selection, incident: &Incident) -> Vec<String> {
    let whole = |value: &&Rc<str>| !value.ends_with(CUT);
    let script = incident.scripts.first().filter(whole);
    let mut commands = Vec::new();
    // What came by a pipe is not there any more.
    let can_read_again = selection.files.iter().all(|file| file.is_file());
    if can_read_again {
        // Of the time that was asked for, whatever else was.
        let within = |change: &dyn Fn(&mut Selection)| {
            let mut chosen = Selection {
                files: selection.files.clone(),
                rotated: selection.rotated,
                since: selection.since.clone(),
                until: selection.until.clone(),
                host: selection.host.clone(),
                probes: selection.probes.clone(),
                ..Selection::default()
            };
            change(&mut chosen);
            chosen
        };
        let of_client =
            |client: &Rc<str>| within(&|chosen| chosen.client = Some(client.to_string())).command("events --table");
        let named = incident.clients.iter().filter(whole).take(CLIENTS);
        commands.extend(named.clone().map(of_client));
        let more = incident.counts[2].0.saturating_sub(named.count());
        if more > 0 {
            let all = selection.command(&format!("events --incident {} --json", incident.id));
            commands.push(format!("{all}  # {}", check::counted(more, "more client")));
        }
        if let Some(script) = script {
            commands.push(within(&|chosen| chosen.script = Some(script.to_string())).command("events --table"));
        }
        let gravest = incident.steps.iter().filter(|step| whole(&&step.event) && !step.event.is_empty());
        if let Some(step) = gravest.max_by_key(|step| (step.severity, !step.blocked)) {
            commands.push(within(&|chosen| chosen.id = vec![step.event.to_string()]).command("events"));
        }
    }
    // The files and the programs of another host are not here.
    let here = reading::text(Path::new("/proc/sys/kernel/hostname"), Links::Follow, 256).unwrap_or_default();
    if let [host] = incident.hosts.as_slice()
        && **host == *here.trim()
    {
        if let Some(script) = script {
            commands.push(format!("ls -l --time-style=full-iso -- {}", quoted(script)));
        }
        if incident.outcome != Outcome::Blocked {
            commands.push("portcullis ps".to_owned());
        }
        if can_read_again {
            commands.push(selection.command(&format!("contain --incident {}", incident.id)));
        }
    }
    commands
}
