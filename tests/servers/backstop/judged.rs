//! What does not come through libc is judged for its request, in servers that start, reload and stop as they did.

use super::*;

#[test]
fn a_static_program_is_judged_for_its_request() {
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    let (guard, fpm, nginx) = fpm_and_nginx(&place, "audit");
    let mut events = guard.events();
    for (way, rule, plain, strict) in [
        ("connect nonblocking", "egress-port", "0 0 0", "-1 13 0"),
        ("connect common port", "", "0 0 0", "0 0 0"),
        ("sendto", "egress-port", "1 0 0", "-1 13 0"),
        ("sendto connected", "", "1 0 0", "1 0 0"),
        ("execve", "shell-spawn", "7", "-1 13 0"),
        ("listen", "listen-port", "0 0 0", "0 0 0"),
    ] {
        assert_eq!(ask(nginx.port, "localhost", way), plain, "{way}");
        assert_eq!(ask(nginx.port, "strict.example", way), strict, "{way}");
        let fresh = events.fresh();
        let seen: Vec<_> = fresh.iter().map(facts).collect();
        let outcome = if rule == "listen-port" { "success" } else { "failure" };
        match rule {
            "" => assert_eq!(seen, [[""; 5]; 0], "{way}"),
            _ => assert_eq!(
                seen,
                [[rule, "success", "backstop", "known", ""], [rule, outcome, "backstop", "known", "strict"]],
                "{way}"
            ),
        }
        for event in fresh {
            assert!(event.text("url.original").starts_with("/static.php?way="), "{event:#}");
            assert_eq!(event.text("client.address"), "127.0.0.1");
            assert!(event.text("portcullis.chain").starts_with("php-fpm: pool www > ways-static"), "{event:#}");
            assert_eq!(event.text("user.name"), "www-data");
        }
    }
    let workers = children(fpm.process.pid());
    assert!(workers.len() == 2 && workers.into_iter().all(is_filtered));
}

#[test]
fn the_tree_is_as_it_was_but_for_the_supervisor() {
    enter();
    let place = Place::new();
    let (guard, mut fpm, mut nginx) = fpm_and_nginx(&place, "audit");
    let mut events = guard.events();
    let (fpm_master, nginx_master) = (fpm.process.pid(), nginx.process.pid());
    for _ in 0..300 {
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
    for master in [fpm_master, nginx_master] {
        assert!(!is_filtered(master), "the master has no filter");
        standing(master);
    }
    assert_eq!((children(fpm_master).len(), children(nginx_master).len()), (2, 1));
    assert!(is_filtered(children(nginx_master)[0]));
    // A reload: other workers. PHP-FPM executes itself anew, and has another supervisor then.
    let before = (standing(fpm_master), standing(nginx_master));
    let (fpm_workers, nginx_workers) = (children(fpm_master), children(nginx_master));
    fpm.process.signal(libc::SIGUSR2);
    nginx.process.signal(libc::SIGHUP);
    wait_until("the reloads", || {
        let (fpm, nginx) = (children(fpm_master), children(nginx_master));
        fpm.len() == 2
            && nginx.len() == 1
            && fpm.iter().all(|worker| !fpm_workers.contains(worker) && is_filtered(*worker))
            && nginx.iter().all(|worker| !nginx_workers.contains(worker) && is_filtered(*worker))
    });
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    wait_until("the supervisor before to end", || three(fpm_master).is_some_and(|now| now != before.0));
    assert_eq!(three(nginx_master), Some(before.1));
    let fresh = events.fresh();
    assert_eq!(fresh.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "known", ""]]);
    nginx.process.stop(libc::SIGQUIT);
    fpm.process.stop(libc::SIGQUIT);
    wait_until("the supervisors to end", || supervisors(fpm_master).is_empty() && supervisors(nginx_master).is_empty());
    assert!(events.fresh().is_empty());
}

#[test]
fn apache_starts_reloads_and_stops_with_it() {
    enter();
    for kind in [Kind::Event, Kind::ModPhp, Kind::Cgid] {
        let place = Place::new();
        page(&place);
        let guard = place.guard(&config(&place, "audit"));
        let mut apache = Apache::start(&place, Some(&guard), kind, None, "");
        let master = apache.process.pid();
        assert_eq!(http::get(apache.port, "/way.php?way=list").status, 200);
        wait_until("filters", || {
            let workers = children(master);
            !workers.is_empty() && workers.into_iter().all(is_filtered)
        });
        let before = children(master);
        assert!(!is_filtered(master));
        standing(master);
        apache.process.signal(libc::SIGUSR1);
        wait_until("the reload", || {
            let now = children(master);
            !now.is_empty() && now.iter().all(|worker| !before.contains(worker) && is_filtered(*worker))
        });
        assert_eq!(http::get(apache.port, "/way.php?way=list").status, 200);
        apache.process.stop(libc::SIGTERM);
        wait_until("the supervisor to end", || supervisors(master).is_empty());
        assert_eq!(guard.events().all().len(), 0, "{:#?}", guard.events().all());
    }
}

/// In a pool's own root the library is not there: what is started is not guarded, but known by its request all the same.
#[test]
fn in_a_chroot_the_request_is_known() {
    enter();
    let place = Place::new();
    let jail = place.join("jail");
    std::fs::create_dir(&jail).expect("a folder");
    std::fs::create_dir(jail.join("www")).expect("a folder");
    compile(&place, "tests/library/c/ways.c", "jail/ways-static", &["-static"]);
    let page = "<?php $p = proc_open(['/ways-static', 'libc', 'sendto'], [1 => ['pipe', 'w']], $q); \
                echo stream_get_contents($q[1]); proc_close($p);";
    place.write("jail/www/static.php", page);
    let guard = place.guard(&config(&place, "audit"));
    let lines = format!("chroot = {}", jail.display());
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines, ..Pool::default() });
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(Path::new("/www")));
    assert_eq!(http::get(nginx.port, "/static.php").body, "1 0\n");
    let events = guard.events().all();
    assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "known", ""]]);
    assert_eq!(events[0].text("portcullis.request.script"), "/www/static.php");
}

/// More calls at once than one process judges: they wait, and none is lost.
#[test]
fn overload_makes_calls_wait() {
    enter();
    let place = Place::new();
    page(&place);
    let program = place.join("ways-static");
    let page = format!(
        "<?php for ($i = 0; $i < 100; $i++) {{ $p[] = proc_open(['{}', 'libc', 'sendto'], [1 => ['pipe', 'w']], $q[]); }}\n\
         $n = 0; foreach ($p as $i => $one) {{ $n += stream_get_contents($q[$i][1]) === \"1 0\\n\" ? 1 : 0; proc_close($one); }}\n\
         echo $n;",
        program.display()
    );
    place.write("www/many.php", &page);
    let guard = place.guard(&config(&place, "audit"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(http::get(nginx.port, "/many.php").body, "100");
    drop(fpm);
    wait_until("the events", || calls(&guard.events().all()) >= 100);
    assert_eq!(calls(&guard.events().all()), 100);
}

/// curl and what nginx itself connects to: allowed by the hooks, they never come to the supervisor.
#[test]
fn nginx_proxies_under_it() {
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    place.pages();
    let guard = place.guard(&config(&place, "enforce"));
    let location = format!(
        "location /common/ {{ proxy_pass http://{OUTSIDE4}:8080/; }}\nlocation /other/ {{ proxy_pass http://{OUTSIDE4}:4444/; }}"
    );
    let nginx = Nginx::start(&place, Some(&guard), &location);
    assert_eq!(http::get(nginx.port, "/common/").status, 200);
    assert_eq!(http::get(nginx.port, "/other/").status, 502);
    let events = guard.events().all();
    assert_eq!(events.iter().map(|event| event.text("portcullis.layer")).collect::<Vec<_>>(), ["libc"]);
}
