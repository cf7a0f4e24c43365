//! A unit's own filter of system calls (SystemCallFilter=, a container's profile): what it forbids, the library does not add.

use super::{compile, run, run_page};
use crate::harness::{Events, Fpm, Guard, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, enter};

/// A server under `outer`, whose hosts audit but one.
fn server(place: &Place, is_guarded: bool, by: &[&str]) -> (Option<Events>, Fpm, Nginx) {
    let www = place.join("www");
    let guard: Option<Guard> = is_guarded.then(|| {
        place.guard_of_every_event(&format!(
            "mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n[[vhost]]\n\
             name = \"strict\"\nmode = \"enforce\"\nmatch = {{ document_root = \"{}\" }}\n",
            www.join("strict").display()
        ))
    });
    let fpm = Fpm::start_in(place, guard.as_ref(), &Pool::default(), by);
    let strict = www.join("strict");
    let location = format!(
        "{}\n}}\nserver {{ listen 127.0.0.1:8081; server_name strict.example; root {};\n{}",
        fpm.nginx_location(&www),
        strict.display(),
        fpm.nginx_location(&strict)
    );
    let nginx = Nginx::start(place, None, &location);
    (guard.map(|guard| guard.events()), fpm, nginx)
}

/// A program without the library belongs to the request that started it, whatever else the unit forbids. It is announced by a call of
/// the kind that starts it.
#[test]
fn a_program_is_known_whatever_the_unit_forbids() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    for action in ["kill", "fail"] {
        let forbids = [libc::SYS_io_uring_setup, libc::SYS_execveat].map(|number| format!("{action}={number}"));
        for forbidden in &forbids {
            let place = Place::new();
            place.pages();
            run_page(&place);
            let outer = compile(&place, "outer", &[]);
            let claim = compile(&place, "claim", &["-static"]);
            let (_, bare, nginx) = server(&place, false, &[&outer, forbidden]);
            let words = [claim.as_str(), "www", "www"];
            let wanted = run(nginx.port, "localhost", &words);
            assert!(wanted.contains("own:0 ") && wanted.contains("child:0 "), "{forbidden}: {wanted}");
            drop((nginx, bare));
            let (events, _fpm, nginx) = server(&place, true, &[&outer, forbidden]);
            let mut events = events.expect("events");
            // Its environment names the request, too, which it says.
            let said = run(nginx.port, "localhost", &words).replace("claims:0 ", "");
            assert_eq!(said, wanted, "{forbidden}");
            let fresh = events.fresh();
            assert_eq!(fresh.len(), 2, "{forbidden}: {fresh:#?}");
            for event in &fresh {
                assert_eq!((event.text("rule.id"), event.text("event.outcome")), ("egress-port", "success"));
                assert_eq!((event.text("portcullis.layer"), event.text("destination.ip")), ("backstop", OUTSIDE4));
                assert_eq!(event.text("portcullis.request.state"), "known", "{forbidden}: {event:#}");
            }
            let strict = run(nginx.port, "strict.example", &words);
            assert!(!strict.contains("own:0 "), "{forbidden}: {strict}");
        }
    }
}
