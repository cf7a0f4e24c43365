//! Real applications, from audit to enforce as an operator does it: ordinary days, `learn`, enforce, another day with other names, and
//! an intrusion. Then the same with the policy of the application's recipe.

use crate::docs::blocks;
use crate::machine::{Machine, sources, target, wait_until};
use serde_json::Value;

/// An application, which tests/machine/recipes/NAME.sh sets up and uses.
struct Application {
    name: &'static str,
    units: &'static str,
    /// What its virtual host is chosen by.
    matches: &'static str,
    /// Where an intruder gets a page in, and its address.
    page: &'static str,
    url: &'static str,
    /// The unit that has no reload.
    restarted: Option<&'static str>,
}

/// Two days are learnt from; on two others the application is to work.
const DAYS: [&str; 2] = ["monday", "tuesday"];

/// Puts what is on disk in force.
fn apply(machine: &Machine, application: &Application) {
    match application.restarted {
        None => machine.run("portcullis apply"),
        Some(unit) => {
            // It is started by its socket, and may not run yet.
            let applied = machine.try_run("portcullis apply");
            let advice = format!("`systemctl restart {unit}.service` does it");
            let said = String::from_utf8_lossy(&applied.stderr);
            assert!(applied.status.success() || said.contains(&advice), "{said}");
            machine.run(&format!("systemctl restart {unit}.service"))
        }
    };
}

fn day(machine: &Machine, name: &str, how: &str) {
    machine.run(&format!("bash /recipes/{name}.sh {how}"));
}

/// Puts a virtual host's file in force, which is to be all right.
fn follow(machine: &Machine, application: &Application, file: &str) {
    let path = format!("/etc/portcullis/vhosts.d/{}.toml", application.name);
    machine.run(&format!("cat > {path} <<'TOML'\n{file}TOML"));
    is_right(machine);
    apply(machine, application);
}

fn is_right(machine: &Machine) {
    let said = machine.run("portcullis check");
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
}

fn refused(machine: &Machine) -> Vec<Value> {
    let mut events = machine.events();
    events.retain(|event| event["event"]["outcome"] == "failure");
    events
}

/// An intruder's page is refused what it does, and nothing else is: what the application did before is in the journal by then.
fn only_the_intruder_is_refused(machine: &Machine, application: &Application) {
    let before = refused(machine);
    machine.run(&format!(
        "cp /var/www/html/{} {}",
        application.page.rsplit('/').next().unwrap_or_default(),
        application.page
    ));
    let answer = machine.run(&format!("curl -sS --max-time 20 '{}?do=shell'", application.url));
    assert_eq!(answer, "refused");
    let answer = machine.run(&format!("curl -sS --max-time 20 '{}?do=connect'", application.url));
    assert!(!answer.contains("Connection refused"), "it went out: {answer}");
    wait_until("the events", || refused(machine).len() >= before.len() + 2);
    machine.run(&format!("rm {}", application.page));
    for event in refused(machine) {
        assert_eq!(event["portcullis"]["vhost"], application.name, "{event:#}");
        assert_eq!(event["portcullis"]["request"]["script"], application.page, "{event:#}");
    }
}

/// Gives the machine, with the recipe in force.
fn lives(application: &Application) -> Machine {
    let Application { name, units, matches, .. } = application;
    let machine = Machine::boot_on("applications");
    machine.run(&format!(
        "dpkg -i /packages/portcullis_*.deb && mkdir -p /etc/portcullis/vhosts.d && portcullis install {units} --now"
    ));
    // Which commands a busy page runs is in the log where nothing is merged.
    machine.run("sed -i 's/^\\[log\\]$/&\\nmerge = false/' /etc/portcullis/portcullis.toml");
    follow(&machine, application, &format!("name = \"{name}\"\nmatch = {{ {matches} }}\nmode = \"audit\"\n"));
    day(&machine, name, "setup");
    DAYS.iter().for_each(|how| day(&machine, name, how));

    // Two days of the test lie within minutes.
    let said = machine.run(&format!("portcullis learn --include-rare --widen --write vhosts.d/{name}.toml --yes"));
    is_right(&machine);
    machine.run(&format!("sed -i 's/^mode = .*/mode = \"enforce\"/' /etc/portcullis/vhosts.d/{name}.toml"));
    apply(&machine, application);
    day(&machine, name, "wednesday");
    only_the_intruder_is_refused(&machine, application);

    let recipe = &blocks(&format!("docs/recipes/{name}.md"), "toml")[0];
    follow(&machine, application, recipe);
    let before = machine.events().len();
    day(&machine, name, "thursday");
    only_the_intruder_is_refused(&machine, application);
    let later = &machine.events()[before..];
    assert!(
        later.iter().all(|event| event["portcullis"]["request"]["script"] == application.page),
        "{said}\n{later:#?}"
    );
    machine
}

/// The same with sources that no registry of packages has: a person puts them into target/sources/NAME.tar.
fn lives_from_sources(application: &Application) {
    let archive = sources().join(format!("{}.tar", application.name));
    assert!(archive.exists(), "{} is missing: docs/recipes/{}.md says what it is", archive.display(), application.name);
    lives(application);
}

#[test]
#[ignore = "long: make torture"]
fn cacti() {
    lives(&Application {
        name: "cacti",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/usr/share/cacti/site\"",
        page: "/usr/share/cacti/site/cache/act.php",
        url: "http://graphs.example/cache/act.php",
        restarted: None,
    });
}

#[test]
fn dokuwiki() {
    lives(&Application {
        name: "dokuwiki",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/usr/share/dokuwiki\"",
        page: "/usr/share/dokuwiki/lib/exe/act.php",
        url: "http://wiki.example/lib/exe/act.php",
        restarted: None,
    });
}

#[test]
#[ignore = "needs target/sources/drupal.tar"]
fn drupal() {
    lives_from_sources(&Application {
        name: "drupal",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/usr/share/drupal\"",
        page: "/usr/share/drupal/sites/default/files/act.php",
        url: "http://site.example/sites/default/files/act.php",
        restarted: None,
    });
}

#[test]
#[ignore = "needs target/sources/freshrss.tar"]
fn freshrss() {
    lives_from_sources(&Application {
        name: "freshrss",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/usr/share/FreshRSS/p\"",
        page: "/usr/share/FreshRSS/p/themes/act.php",
        url: "http://reader.example/themes/act.php",
        restarted: None,
    });
}

#[test]
fn gitweb() {
    lives(&Application {
        name: "gitweb",
        units: "nginx fcgiwrap",
        matches: "document_root = \"/usr/share/gitweb\"",
        page: "/usr/share/gitweb/act.cgi",
        url: "http://git.example/act.cgi",
        restarted: Some("fcgiwrap"),
    });
}

#[test]
#[ignore = "long: make torture"]
fn mediawiki() {
    lives(&Application {
        name: "mediawiki",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/var/lib/mediawiki\"",
        page: "/var/lib/mediawiki/images/act.php",
        url: "http://media.example/images/act.php",
        restarted: None,
    });
}

#[test]
fn tt_rss() {
    if !target().join("machine/applications/usr/share/tt-rss").exists() {
        return eprintln!("skipped: this release has no package of it; scripts/machine left it out");
    }
    lives(&Application {
        name: "tt-rss",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/usr/share/tt-rss/www\"",
        page: "/usr/share/tt-rss/www/feed-icons/act.php",
        url: "http://news.example/feed-icons/act.php",
        restarted: None,
    });
}

#[test]
fn wordpress() {
    let machine = lives(&Application {
        name: "wordpress",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = [\"/usr/share/wordpress\", \"/var/lib/wordpress\"]",
        page: "/var/lib/wordpress/wp-content/uploads/act.php",
        url: "http://blog.example/wp-content/uploads/act.php",
        restarted: None,
    });
    assert!(
        machine.run("cat /tmp/systemd-private-*/tmp/mails /tmp/mails 2>/dev/null || true").contains("-t -i"),
        "mail was sent"
    );
}

/// What Redmine under Passenger does has no request, so the policy is the global one. Its intruder is a page of the application.
#[test]
#[ignore = "long: make torture"]
fn redmine() {
    let machine = Machine::boot_on("applications");
    machine.run("dpkg -i /packages/portcullis_*.deb && sed -i 's/^\\[log\\]$/&\\nmerge = false/' /etc/portcullis/portcullis.toml");
    day(&machine, "redmine", "setup");
    machine.run("portcullis install apache2 --now");
    let learn = |named: &[&str]| {
        let named: String = named.iter().map(|entry| format!(" '--include={entry}'")).collect();
        machine.run(&format!("portcullis learn --include-rare --widen{named} --write portcullis.toml --yes"));
        is_right(&machine);
        machine.run("portcullis apply && systemctl restart apache2");
    };
    DAYS.iter().for_each(|how| day(&machine, "redmine", how));
    // A person names the interpreter, and what Passenger and Bundler set for all that they start.
    let bundler = machine.run("ls -d /usr/share/rubygems-integration/all/gems/bundler-* | tr -d '\\n'");
    let gems = machine.run("printf /var/lib/gems/; ruby -e 'print RbConfig::CONFIG[%q(ruby_version)]'");
    learn(&[
        "/usr/bin/ruby /usr/share/passenger/helper-scripts/rack-preloader.rb",
        "/usr/share/passenger/node",
        &gems,
        "/usr/share/redmine/Gemfile",
        &format!("-r{bundler}/lib/bundler/setup"),
        &format!("{bundler}/lib"),
    ]);
    // What steers a command shows once an entry names that.
    day(&machine, "redmine", "wednesday");
    learn(&["NODE_ENV=production", "PYTHONUNBUFFERED=1", &format!("BUNDLE_BIN_PATH={bundler}/exe/bundle")]);
    machine.run("sed -i 's/^mode = .*/mode = \"enforce\"/' /etc/portcullis/portcullis.toml");
    let recipe = blocks("docs/recipes/redmine.md", "toml")[0]
        .replace("/usr/share/rubygems-integration/all/gems/bundler-2.3.15", &bundler)
        .replace("/var/lib/gems/3.1.0", &gems);
    let recipe = &recipe;
    for (policy, how) in [(None, "thursday"), (Some(recipe), "friday")] {
        if let Some(policy) = policy {
            machine.run(&format!("cat > /etc/portcullis/portcullis.toml <<'TOML'\n{policy}TOML"));
        }
        is_right(&machine);
        machine.run("portcullis apply && systemctl restart apache2");
        let before = refused(&machine).len();
        day(&machine, "redmine", how);
        // Passenger asks for limits that it only shows.
        let is_limits = |event: &Value| event["process"]["args"][2] == "ulimit -a";
        let of_the_day = refused(&machine).split_off(before);
        assert!(of_the_day.iter().all(is_limits), "{of_the_day:#?}");
        let act =
            |what: &str| machine.run(&format!("curl -sS --max-time 20 'http://tracker.example:8080/act?do={what}'"));
        assert_eq!(act("shell"), "refused");
        let answer = act("connect");
        assert!(!answer.contains("Connection refused"), "it went out: {answer}");
        let rules = || {
            let mut events = refused(&machine).split_off(before);
            events.retain(|event| !is_limits(event));
            let rules = events.iter().map(|event| event["rule"]["id"].as_str().unwrap_or_default().to_owned());
            rules.collect::<std::collections::BTreeSet<_>>()
        };
        wait_until("the events", || rules().len() >= 2);
        assert_eq!(rules(), ["egress-port", "shell-spawn"].map(str::to_owned).into());
    }
}

#[test]
fn roundcube() {
    let machine = lives(&Application {
        name: "roundcube",
        units: "nginx phpX.Y-fpm",
        matches: "document_root = \"/var/lib/roundcube/public_html\"",
        page: "/var/lib/roundcube/public_html/act.php",
        url: "http://webmail.example/act.php",
        restarted: None,
    });
    machine.run("sed -i 's/\"mail.example:143\", //' /etc/portcullis/vhosts.d/roundcube.toml && portcullis apply");
    let refused = machine.try_run("bash /recipes/roundcube.sh again");
    assert!(!refused.status.success(), "the mail server is needed");
}
