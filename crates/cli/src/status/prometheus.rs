//! What the guard counts, for the textfile collector of Prometheus's node exporter.

use super::Unit;
use std::fmt::Write;

/// The text; format: prometheus.io, "Exposition formats".
pub fn text(units: &[Unit]) -> String {
    let mut out = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Unit) -> u64| {
        let _ = write!(out, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}\n");
        for unit in units {
            let label = unit.name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, "portcullis_{name}{{unit=\"{label}\"}} {}", value(unit));
        }
    };
    metric("guarded_processes", "gauge", "Processes with the guard.", &|unit| unit.guarded().count() as u64);
    metric("unguarded_processes", "gauge", "Processes of a guarded unit without the guard.", &|unit| {
        unit.unguarded().count() as u64
    });
    metric("old_policy_processes", "gauge", "Processes whose policy is not the one on disk.", &|unit| {
        unit.guarded().filter(|(_, guard)| !guard.policy.is_current).count() as u64
    });
    metric("decisions_total", "counter", "Actions that were decided on, since the server was started.", &|unit| {
        unit.counters().decisions
    });
    metric("audits_total", "counter", "Events of actions that went ahead.", &|unit| unit.counters().audits);
    metric("denials_total", "counter", "Events of actions that were refused.", &|unit| unit.counters().denials);
    metric("events_total", "counter", "Events.", &|unit| unit.counters().events);
    metric("merged_total", "counter", "Audits and denials that were counted into another event.", &|unit| {
        unit.counters().merged
    });
    metric("dropped_total", "counter", "Events that a sink did not take.", &|unit| unit.counters().dropped);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_type() {
        let unit = Unit { name: "a\"b.service".into(), is_installed: true, processes: Vec::new() };
        let text = text(&[unit]);
        assert!(text.contains(
            "# TYPE portcullis_denials_total counter\nportcullis_denials_total{unit=\"a\\\"b.service\"} 0\n"
        ));
    }
}
