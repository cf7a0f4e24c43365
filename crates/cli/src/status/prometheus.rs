//! What the guard counts, for the textfile collector of Prometheus's node exporter.

use super::Unit;
use super::tally::Tally;
use std::fmt::Write;

/// A value of a label, between its quotes.
fn escaped(value: &str) -> String {
    crate::out::printable(value).replace('\\', "\\\\").replace('"', "\\\"")
}

/// The metric of descendants.
const DESCENDANTS: &str = "descendant_processes";

/// The label of a unit; empty for what is in none.
fn label(unit: &Unit) -> String {
    unit.container.as_ref().map_or_else(|| escaped(&unit.name), |container| escaped(&container.name()))
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}\n");
}

/// The text; format: prometheus.io, "Exposition formats".
pub fn text(units: &[Unit], is_stale: bool, tally: &Tally, is_counted: bool) -> String {
    let mut out = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Unit) -> u64| {
        head(&mut out, name, kind, help);
        // A unit in which only a descendant runs is none that should be guarded.
        for unit in
            units.iter().filter(|unit| unit.is_installed || unit.workers().next().is_some() || name == DESCENDANTS)
        {
            let _ = writeln!(out, "portcullis_{name}{{unit=\"{}\"}} {}", label(unit), value(unit));
        }
    };
    metric("guarded_processes", "gauge", "Guarded processes of servers.", &|unit| unit.workers().count() as u64);
    metric(DESCENDANTS, "gauge", "Processes that a worker has started and that run still.", &|unit| {
        unit.processes.iter().filter(|process| process.descent.is_some()).count() as u64
    });
    metric("unguarded_processes", "gauge", "Unguarded processes of a guarded unit.", &|unit| {
        unit.unguarded().count() as u64
    });
    metric("supervisor_missing", "gauge", "Whether the unit's policy has a supervisor that does not run.", &|unit| {
        u64::from(unit.lacks_supervisor())
    });
    metric("old_policy_processes", "gauge", "Processes whose policy is not the one on disk.", &|unit| {
        unit.workers().filter(|(_, guard)| !guard.policy.is_current).count() as u64
    });
    metric(
        "decisions_total",
        "counter",
        "Actions that were decided on, by the server's processes that run; starts at 0 with each start, and with a reload that starts the server's program again.",
        &|unit| unit.counters().decisions,
    );
    metric(
        "audits_total",
        "counter",
        "Events of actions that went ahead; starts at 0 as decisions_total does.",
        &|unit| unit.counters().audits,
    );
    metric(
        "denials_total",
        "counter",
        "Events of actions that were blocked; starts at 0 as decisions_total does.",
        &|unit| unit.counters().denials,
    );
    metric("events_total", "counter", "Events; starts at 0 as decisions_total does.", &|unit| unit.counters().events);
    metric(
        "merged_total",
        "counter",
        "Events of either outcome that were counted into another event; starts at 0 as decisions_total does.",
        &|unit| unit.counters().merged,
    );
    metric(
        "dropped_total",
        "counter",
        "Events that a sink did not take; starts at 0 as decisions_total does.",
        &|unit| unit.counters().dropped,
    );
    head(
        &mut out,
        "calls_total",
        "counter",
        "Calls that triggered a rule, by the rule that decided; from the log, so that no start or reload sets it to 0.",
    );
    for ([vhost, rule, outcome], count) in tally.calls() {
        let labels = format!("vhost=\"{}\",rule=\"{rule}\",outcome=\"{outcome}\"", escaped(vhost));
        let _ = writeln!(out, "portcullis_calls_total{{{labels}}} {count}");
    }
    let mut one = |name: &str, kind: &str, help: &str, labels: &str, value: i64| {
        head(&mut out, name, kind, help);
        let _ = writeln!(out, "portcullis_{name}{labels} {value}");
    };
    one(
        "last_event_timestamp_seconds",
        "gauge",
        "When the latest event in the log was; 0 where there is none.",
        "",
        tally.latest(),
    );
    one("log_readable", "gauge", "Whether the log could be read.", "", i64::from(is_counted));
    one(
        "configuration_changed",
        "gauge",
        "Whether the configuration has changed since it was compiled.",
        "",
        i64::from(is_stale),
    );
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    one("build_info", "gauge", "The version of the command.", version, 1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_type() {
        let unit = Unit { name: "a\"b.service".into(), container: None, is_installed: true, processes: Vec::new() };
        let text = text(&[unit], true, &Tally::default(), true);
        assert!(text.contains("\nportcullis_configuration_changed 1\n"));
        assert!(text.contains(
            "# TYPE portcullis_denials_total counter\nportcullis_denials_total{unit=\"a\\\"b.service\"} 0\n"
        ));
    }
}
