//! Children stay guarded, whatever the environment that they are given, and see nothing of the guard in it.

use crate::harness::{Apache, Fpm, Kind, Nginx, Parts, Place, Pool, enter, http, named};
use serde_json::{Value, json};

#[test]
fn of_fpm_with_a_cleared_environment() {
    enter();
    let place = Place::new();
    let guard = place.guard("mode = \"audit\"");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.pages()));
    let seen: Value = serde_json::from_str(&http::get(nginx.port, "/children.php").body).expect("JSON");
    let found = |name: &str| seen[name].as_str().and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    for name in ["child", "grandchild", "cleared"] {
        assert!(found(name) > 0, "{name} is not guarded: {seen}");
    }
    assert_eq!(seen["visible"], "", "{seen}");
    assert_eq!(seen["own"], json!([false, false]));
    let chains: Vec<String> =
        guard.events().all().iter().map(|event| event.text("portcullis.chain").to_owned()).collect();
    assert_eq!(
        chains,
        [
            "php-fpm: pool www > sh",
            "php-fpm: pool www > sh",
            "php-fpm: pool www > sh > sh",
            "php-fpm: pool www > sh",
            "php-fpm: pool www > sh > env > sh",
            "php-fpm: pool www > sh",
        ]
    );
    let events = guard.events().all();
    assert_eq!(events[0].text("portcullis.role"), "serving");
    assert_eq!(events[2].text("portcullis.role"), "descendant");
    assert_eq!(events[2].text("process.command_line"), "sh -c grep -c libportcullis.so /proc/self/maps; true");
    assert_eq!(events[0].text("process.parent.name"), named("php-fpmX.Y"));
}

#[test]
fn of_mod_cgid() {
    enter();
    let place = Place::new();
    let www = place.pages();
    let script = "#!/bin/sh\necho 'Content-Type: text/plain'\necho\ngrep -c libportcullis.so /proc/self/maps\n";
    std::fs::write(www.join("sh.cgi"), script).expect("a script");
    let guard = place.guard("mode = \"audit\"");
    let apache = Apache::start(&place, Some(&guard), Kind::Cgid, None, "");
    let answer = http::get(apache.port, "/sh.cgi");
    assert!(answer.body.trim().parse::<u32>().is_ok_and(|count| count > 0), "{answer:?}");
    let events = guard.events().all();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0].text("portcullis.chain"), "apache2 > sh.cgi");
}
