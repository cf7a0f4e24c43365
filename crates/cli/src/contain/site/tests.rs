//! Which virtual hosts are contained, and how.

use super::*;
use portcullis_request::Source;

const STRICT: Strict<'static> = Strict { why: "contained", is_closed: false };

struct Place(tempfile::TempDir);

impl Place {
    fn with(main: &str, files: &[(&str, &str)]) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("vhosts.d")).expect("a folder");
        std::fs::write(folder.path().join("portcullis.toml"), main).expect("a file");
        for (name, text) in files {
            std::fs::write(folder.path().join("vhosts.d").join(name), text).expect("a file");
        }
        Place(folder)
    }

    fn plan(&self, wanted: &Wanted) -> Result<Plan, String> {
        plan(&self.0.path().join("portcullis.toml"), wanted, &STRICT)
    }

    fn make(&self, plan: &Plan) {
        plan.edits.iter().for_each(|(path, text)| std::fs::write(path, text).expect("a file"));
    }
}

fn request(change: impl FnOnce(&mut Request)) -> Wanted {
    let mut request = Request { source: Source::Nginx as u8, ..Request::default() };
    change(&mut request);
    Wanted::Requests { own: BTreeSet::from([request]), others: BTreeSet::new() }
}

fn of_root(root: &str) -> Wanted {
    request(|request| request.document_root = root.to_owned())
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.sites.iter().map(|site| site.name.as_str()).collect()
}

#[test]
fn a_site_of_the_global_policy_gets_a_virtual_host_of_its_own() {
    let place = Place::with("mode = \"audit\"\n", &[]);
    let plan = place.plan(&of_root("/srv/./shop/")).expect("a plan");
    assert_eq!(names(&plan), ["contain-srv-shop"]);
    assert!(plan.sites[0].is_new && plan.edits.len() == 1, "{:?}", plan.sites);
    place.make(&plan);
    let again = place.plan(&of_root("/srv/shop")).expect("a plan");
    assert_eq!((names(&again), again.edits.len()), (vec!["contain-srv-shop"], 0), "it is contained");
    assert!(!again.sites[0].is_new);
}

#[test]
fn a_virtual_host_is_changed_in_the_file_that_has_it() {
    let shop = "# ours\nname = \"shop\"\nmatch = { server_name = \"shop.example\" }\n[exec]\nmode = \"off\"\n";
    let place = Place::with("mode = \"audit\"\n", &[("shop.toml", shop)]);
    let plan = place.plan(&request(|request| request.server_name = "Shop.example:8080".into())).expect("a plan");
    assert_eq!(names(&plan), ["shop"]);
    assert!(plan.edits[0].1.starts_with("# ours\nname = \"shop\"\n"), "{}", plan.edits[0].1);
    let of_name = place.plan(&Wanted::Vhost("shop".into())).expect("a plan");
    assert_eq!(of_name.edits, plan.edits);
    let Err(why) = place.plan(&Wanted::Vhost("nobody".into())) else { panic!("a plan") };
    assert!(why.contains("known: `shop`"), "{why}");
}

/// What is in a document root is reached by every name that serves it.
#[test]
fn two_sites_with_one_document_root_are_contained_together() {
    let vhost = |name: &str, more: &str| format!("[[vhost]]\nname = \"{name}\"\nmatch = {{ {more} }}\n");
    let text = [
        vhost("shop", "document_root = \"/srv/www\", server_name = \"shop.example\""),
        vhost("blog", "document_root = \"/srv/www\", server_name = \"blog.example\""),
        vhost("pay", "script = \"/srv/www/pay\""),
        vhost("named", "server_name = \"named.example\""),
        vhost("other", "document_root = \"/srv/www2\""),
    ]
    .concat();
    let place = Place::with(&text, &[]);
    let Wanted::Requests { own, .. } = request(|request| {
        (request.document_root, request.server_name) = ("/srv/www".into(), "shop.example".into());
    }) else {
        unreachable!()
    };
    let alone = Wanted::Requests { own: own.clone(), others: BTreeSet::new() };
    let plan = place.plan(&alone).expect("a plan");
    // Also by a name that no virtual host has.
    assert_eq!(names(&plan), ["shop", "blog", "pay", "contain-srv-www"]);
    assert!(plan.sites[1].note.contains("same document root") && plan.sites[0].note.is_empty());
    let other = Request { server_name: "named.example".into(), source: Source::Nginx as u8, ..Request::default() };
    let plan = place.plan(&Wanted::Requests { own, others: BTreeSet::from([other]) }).expect("a plan");
    assert_eq!(names(&plan), ["shop", "blog", "pay", "named", "contain-srv-www"]);
    assert_eq!(plan.edits.len(), 2, "those that were there are in one file");
    let by_name = request(|request| {
        (request.document_root, request.server_name) = ("/srv/named".into(), "named.example".into());
    });
    let plan = place.plan(&by_name).expect("a plan");
    assert_eq!(names(&plan), ["named"], "its lists stay its own");
    assert!(plan.sites[0].line().contains("; NOT requests for /srv/named by another server name"));
}

/// A call without a request keeps no site of the incident from being contained.
#[test]
fn a_call_of_no_site_is_named_beside_the_sites() {
    let place = Place::with("mode = \"audit\"\n", &[]);
    let of_shop = Request { document_root: "/srv/shop".to_owned(), ..Request::default() };
    let own = BTreeSet::from([of_shop, Request::default()]);
    let plan = place.plan(&Wanted::Requests { own, others: BTreeSet::new() }).expect("a plan");
    assert_eq!((names(&plan), plan.global), (vec!["contain-srv-shop"], 1));
}

#[test]
fn what_names_no_site_is_said() {
    let place = Place::with("mode = \"audit\"\n", &[]);
    for (wanted, said) in [
        (of_root("/"), "of every site"),
        (of_root("/srv/.."), "of every site"),
        (request(|_| {}), "the global policy decides on it"),
        (request(|request| request.server_name = "*".into()), "the global policy decides on it"),
        (request(|request| request.is_unknown = true), "no event of the incident names its site"),
        (request(|request| request.pool = "x".repeat(65)), "the configuration would have errors"),
    ] {
        let Err(why) = place.plan(&wanted) else { panic!("{said}") };
        assert!(why.contains(said), "{said}: {why}");
    }
    let pool = place.plan(&request(|request| request.pool = "shop".into())).expect("a plan");
    assert_eq!(names(&pool), ["contain-shop"]);
}

#[test]
fn the_kill_switch_takes_precedence_and_is_named() {
    let place = Place::with("override = \"audit\"\n", &[]);
    let Err(why) = place.plan(&of_root("/srv/shop")) else { panic!("a plan") };
    assert!(why.contains("override = \"audit\"") && why.contains("portcullis panic --undo"), "{why}");
    let broken = Place::with("mode = 1\n", &[]);
    let Err(why) = broken.plan(&of_root("/srv/shop")) else { panic!("a plan") };
    assert!(why.contains("1 error") && why.contains("nothing was changed"), "{why}");
}

#[test]
fn a_hostile_path_is_no_file_of_another_folder() {
    let place = Place::with("mode = \"audit\"\n", &[]);
    for (root, name) in [
        ("/srv/../../etc/\"]\n[exec]\nmode = \"off\"", "contain-etc-exec-mode-off"),
        ("/\u{1b}[2J/\u{202e}", "contain-2j"),
        ("/\u{65e5}", "contain-site"),
        (&format!("/{}", "a".repeat(400)), &format!("contain-{}", "a".repeat(SLUG_MAX))),
    ] {
        let plan = place.plan(&of_root(root)).expect("a plan");
        assert_eq!(names(&plan), [name]);
        assert_eq!(plan.edits[0].0, place.0.path().join(format!("vhosts.d/{name}.toml")));
        assert!(!plan.sites[0].line().contains(['\n', '\u{1b}', '\u{202e}']), "{}", plan.sites[0].line());
    }
    assert!(place.plan(&of_root(&format!("/{}", "a".repeat(50_000)))).is_err());
}
