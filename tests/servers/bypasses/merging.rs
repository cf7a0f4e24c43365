//! Merging never joins what belongs to different pools, hosts or users, and no flood hides the gravest events.

use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter, http};
use serde_json::Value;
use std::collections::BTreeSet;

const HOSTS: usize = 40;

fn all_of(events: &[Value], path: &str) -> BTreeSet<String> {
    events
        .iter()
        .filter(|event| event.text("event.action") != "merged")
        .map(|event| event.text(path).to_owned())
        .collect()
}

/// One script that is shared by many server names, document roots, pools and users: each has an event of its own.
#[test]
fn kinds_are_those_of_a_host() {
    enter();
    for what in ["server_name", "document_root", "pool", "user"] {
        let place = Place::new();
        let guard = place.guard("mode = \"audit\"\n");
        let www = place.pages();
        let user = |number: usize| match what {
            "user" if number % 2 == 1 => "nobody",
            _ => "www-data",
        };
        let count = if what == "user" {
            2
        } else if what == "pool" {
            16
        } else {
            HOSTS
        };
        let mut pools = "pm.max_children = 1\n".to_owned();
        if matches!(what, "pool" | "user") {
            for number in 0..count {
                pools += &format!(
                    "[pool{number}]\nuser = {}\nlisten = {}\nlisten.mode = 0666\npm = static\npm.max_children = 1\n",
                    user(number),
                    place.join(&format!("{number}.sock")).display()
                );
            }
        }
        let fpm = Fpm::start(&place, Some(&guard), &Pool { lines: pools, ..Pool::default() });
        let mut servers = String::new();
        for number in 0..count {
            let socket = match what {
                "pool" | "user" => format!("unix:{}", place.join(&format!("{number}.sock")).display()),
                _ => fpm.address.clone(),
            };
            let name = if what == "server_name" { format!("host{number}.example") } else { "shop.example".to_owned() };
            let root = if what == "document_root" { format!("/srv/root{number}") } else { "/srv/root".to_owned() };
            // The user alone is to tell them apart.
            let _ = &socket;
            servers += &format!(
                "location = /{number} {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {}/way.php; \
                 fastcgi_param QUERY_STRING way=system; fastcgi_param SERVER_NAME {name}; \
                 fastcgi_param DOCUMENT_ROOT {root}; fastcgi_pass {socket}; }}\n",
                www.display()
            );
        }
        let nginx = Nginx::start(&place, None, &servers);
        let rounds = if what == "user" { 12 } else { 1 };
        for _ in 0..rounds {
            for number in 0..count {
                http::get(nginx.port, &format!("/{number}"));
            }
        }
        let events = guard.events().all();
        let path = match what {
            "server_name" => "url.domain",
            "document_root" => "portcullis.request.document_root",
            "pool" => "portcullis.request.pool",
            _ => "user.id",
        };
        assert_eq!(all_of(&events, path).len(), count, "{what}: {} events", events.len());
        if what == "user" {
            assert_eq!(events.iter().filter(|event| event.text("event.action") != "merged").count(), 20, "ten of each");
        }
    }
}

/// As many different refused shells as fill the table, by one host: another host's refused shell is written.
#[test]
fn a_flood_hides_no_refused_shell() {
    enter();
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"\n");
    let www = place.pages();
    place.write("www/flood.php", "<?php for ($i = 0; $i < 600; $i++) shell_exec(\": $i; true\");");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let location = fpm.nginx_location(&www);
    let second = format!(
        "{location}\n}}\nserver {{ listen 127.0.0.1:8081; server_name blog.example; root {};\n{location}\n",
        www.display()
    );
    let nginx = Nginx::start(&place, None, &second);
    http::get(nginx.port, "/flood.php");
    http::get_host(nginx.port, "blog.example", "/way.php?way=system");
    let events = guard.events().all();
    let of_blog = events.iter().filter(|event| event.text("url.domain") == "blog.example");
    let of_blog: Vec<&Value> = of_blog.filter(|event| event.text("event.outcome") == "failure").collect();
    assert_eq!(of_blog.len(), 1, "{} events", events.len());
    assert!(events.len() > 600, "the gravest of one host are written, too: {}", events.len());
}
