//! Metrics: real servers' events, counted by the command, read by node exporter, kept by Prometheus; examples/siem/prometheus/ and
//! every query of examples/siem/grafana/ on them.

use crate::harness::{Fpm, Listeners, Nginx, OUTSIDE4, Place, Pool, enter, http, wait_until};
use crate::harness::{Guard, Process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem")
}

#[test]
fn promtool_takes_the_rules_and_their_tests() {
    for (words, file) in [(["check", "rules"], "rules.yml"), (["test", "rules"], "rules.test.yml")] {
        let folder = examples().join("prometheus");
        let done = Command::new("promtool").args(words).arg(file).current_dir(folder).output().expect("promtool");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && said.contains("SUCCESS"), "{said}");
    }
    // Each alert of the rules has a test.
    let read = |name: &str| std::fs::read_to_string(examples().join("prometheus").join(name)).expect(name);
    let (rules, tests) = (read("rules.yml"), read("rules.test.yml"));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert}");
    }
}

/// What Prometheus answers.
fn ask(path: &str, query: &[(&str, &str)]) -> Value {
    let mut request = ureq::get(format!("http://127.0.0.1:9090/api/v1/{path}"));
    for (name, value) in query {
        request = request.query(name, value);
    }
    let mut answer = request.config().http_status_as_error(false).build().call().expect("Prometheus");
    answer.body_mut().read_json().expect("JSON")
}

/// The samples of an instant query.
fn samples(query: &str) -> Vec<Value> {
    let answer = ask("query", &[("query", query)]);
    assert_eq!(answer["status"], "success", "{query}: {answer:#}");
    answer["data"]["result"].as_array().expect("samples").clone()
}

fn value(query: &str) -> Option<f64> {
    samples(query).first()?["value"][1].as_str()?.parse().ok()
}

fn quiet(program: &str, arguments: &[String]) -> Process {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start(command, None)
}

/// Does what portcullis-metrics.service does.
fn collect(place: &Place, guard: &Guard) {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/portcullis-metrics.service");
    let unit = std::fs::read_to_string(unit).expect("the unit");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/portcullis ")).expect("ExecStart");
    let output = place.join("collector/portcullis.prom");
    let done = place
        .portcullis()
        .args(line.replace("${METRICS}", output.to_str().expect("a path")).split(' '))
        .args(["--state", place.join("state.json").to_str().expect("a path"), "--config"])
        .arg(&guard.config)
        .output()
        .expect("portcullis");
    // Other tests' servers may have processes without the guard: 1.
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(matches!(done.status.code(), Some(0 | 1)) && said.is_empty(), "{said}");
}

#[test]
fn events_become_series_alerts_and_panels() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    std::fs::create_dir(place.join("collector")).expect("a folder");
    let www = place.pages();
    let vhosts = format!(
        "[[vhost]]\nname = \"shop\"\nmode = \"enforce\"\nmatch = {{ document_root = \"{}\" }}\n",
        www.display()
    );
    let guard = place.guard(&format!("mode = \"audit\"\n{vhosts}"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let location = fpm
        .nginx_location(&www)
        .replace("fastcgi_pass", &format!("fastcgi_param DOCUMENT_ROOT {}; fastcgi_pass", www.display()));
    let nginx = Nginx::start(
        &place,
        Some(&guard),
        &format!("{location} location /up/ {{ proxy_pass http://{OUTSIDE4}:4444/; }}"),
    );
    http::get(nginx.port, "/up/");
    collect(&place, &guard);

    let collector = place.join("collector");
    let _exporter = quiet(
        "prometheus-node-exporter",
        &[
            "--collector.disable-defaults".into(),
            "--collector.textfile".into(),
            format!("--collector.textfile.directory={}", collector.display()),
            "--web.listen-address=127.0.0.1:9100".into(),
        ],
    );
    let config = place.write(
        "prometheus.yml",
        &format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n  - job_name: node\n    \
             static_configs: [{{ targets: [\"127.0.0.1:9100\"] }}]\n",
            examples().join("prometheus/rules.yml").display()
        ),
    );
    let _prometheus = quiet(
        "prometheus",
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", place.join("data").display()),
            "--web.listen-address=127.0.0.1:9090".into(),
        ],
    );
    wait_until("Prometheus", || ureq::get("http://127.0.0.1:9090/-/ready").call().is_ok());
    let egress = "portcullis_calls_total{vhost=\"-\",rule=\"egress-port\",outcome=\"success\"}";
    wait_until("the first series", || value(egress) == Some(1.0));
    for _ in 0..3 {
        http::get(nginx.port, "/way.php?way=system");
    }
    http::get(nginx.port, "/up/");
    collect(&place, &guard);
    let shells = "portcullis_calls_total{vhost=\"shop\",rule=\"shell-spawn\",outcome=\"failure\"}";
    wait_until("the second count", || value(shells) == Some(3.0) && value(egress) == Some(2.0));
    assert_eq!(value("count(portcullis_calls_total)"), Some(2.0));
    assert!(value("portcullis_guarded_processes{unit=\"\"}").is_some_and(|count| count >= 5.0));
    assert_eq!(value("portcullis_log_readable"), Some(1.0));
    for alert in ["PortcullisRuleFired", "PortcullisRuleFiredLow"] {
        wait_until(alert, || !samples(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")).is_empty());
    }

    let dashboard = std::fs::read_to_string(examples().join("grafana/dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 10);
    for panel in panels {
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query");
            let filled = [("$__rate_interval", "1m"), ("$__range", "1h"), ("$instance", ".*"), ("$vhost", ".*")]
                .iter()
                .fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
            assert!(!filled.contains('$'), "{filled}");
            // An increase takes a second look at a series.
            wait_until(&format!("{}: {filled}", panel["title"]), || !samples(&filled).is_empty());
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        let Some(query) = variable["definition"].as_str() else { continue };
        let (series, label) =
            query.trim_start_matches("label_values(").trim_end_matches(')').rsplit_once(", ").expect(query);
        let answer = ask(&format!("label/{label}/values"), &[("match[]", &series.replace("$instance", ".*"))]);
        assert!(answer["data"].as_array().is_some_and(|values| !values.is_empty()), "{query}: {answer:#}");
    }
}
