//! The virtual hosts of a configuration that requests select, or are to select, and the files that make them enforce every rule.

use super::edit::{self, Key, Strict};
use crate::changes::Changes;
use crate::explain::{Request, Whose, find};
use crate::learn::files;
use crate::{check, compile, out};
use portcullis_config::model::{Match, Vhost};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Loaded, modes};
use portcullis_policy::{Mode, Policy};
use portcullis_request::{Field, Source, normalise};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest part of a new virtual host's name that comes from its site.
const SLUG_MAX: usize = 40;
/// So many values of a match are shown.
const SHOWN: usize = 4;

/// What is to be contained.
pub enum Wanted {
    /// The virtual host of this name.
    Vhost(String),
    /// The sites of these requests, and those of others with the same document roots.
    Requests { own: BTreeSet<Request>, others: BTreeSet<Request> },
}

/// A virtual host that is a site's.
#[derive(Debug)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The file that has it.
    pub file: PathBuf,
    /// It is not there yet.
    pub is_new: bool,
    /// The requests that select it, in words.
    pub selects: String,
    /// Why it is one of them, if no request that is meant selects it by itself.
    pub note: String,
}

/// What is to become of one configuration.
pub struct Plan {
    /// Its main file.
    pub main: PathBuf,
    pub sites: Vec<Site>,
    /// The files that change; none where every site enforces every rule already.
    pub edits: Vec<(PathBuf, String)>,
    /// The policy that it would be, and what that changes of the applied one, also by what nobody has applied yet.
    pub policy: Vec<u8>,
    pub changes: Vec<String>,
    /// How many requests of those that are meant are not known, so that the strictest policy decides on them.
    pub unknown: usize,
}

/// Works out what contains the sites in one configuration.
pub fn plan(main: &Path, wanted: &Wanted, strict: &Strict<'_>) -> Result<Plan, String> {
    let loaded = portcullis_config::load(main);
    check::show_errors(&loaded);
    if !loaded.usable() {
        return Err(format!(
            "{}; nothing was changed; help: correct it, or without a configuration: portcullis install UNIT",
            check::summary(&loaded, main)
        ));
    }
    if let Some(mode) = loaded.config.force {
        return Err(format!(
            "override = \"{}\" in {} takes precedence over every virtual host, so nothing would be blocked; nothing was changed; \
             help: {}",
            mode.word(),
            main.display(),
            crate::modes::UNDO
        ));
    }
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let Selected { known, new, unknown } = select(&loaded.config, &policy, wanted)?;
    let mut sites = Vec::new();
    let mut edits: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (index, note) in known {
        let Some(vhost) = loaded.config.vhosts.get(index) else { continue };
        let name = vhost.name.value.clone();
        let file = vhost.name.origin.file.clone().ok_or_else(|| format!("`{name}` is in no file"))?;
        if !is_strict(vhost, &loaded.config, strict.is_closed) {
            let before = match edits.get(&file) {
                Some(text) => text.clone(),
                None => reading::text(&file, Links::Follow, reading::CONFIG_MAX)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
            };
            let text = edit::enforced(&before, &name, strict).map_err(|why| format!("{}: {why}", file.display()))?;
            edits.insert(file.clone(), text);
        }
        sites.push(Site { name, file, is_new: false, selects: selects(&vhost.matches), note });
    }
    for keys in new {
        let (name, file) = free_name(main, &loaded.config, &edits, &keys);
        let selects = keys.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ");
        edits.insert(file.clone(), edit::fresh(&name, &keys, strict)?);
        sites.push(Site { name, file, is_new: true, selects, note: String::new() });
    }
    let edits: Vec<(PathBuf, String)> = edits.into_iter().collect();
    let policy = checked(main, &loaded, &edits, &sites, wanted)?;
    let changes = changes(main, &policy);
    Ok(Plan { main: main.to_owned(), sites, edits, policy, changes, unknown })
}

/// What a policy changes of the applied one.
fn changes(main: &Path, policy: &[u8]) -> Vec<String> {
    let applied =
        reading::bytes(&compile::default_output(main), Links::Refuse, compile::POLICY_MAX).unwrap_or_default();
    match (Policy::new(&applied), Policy::new(policy)) {
        (Ok(applied), Ok(policy)) => Changes::between(&applied, &policy).said(),
        _ => vec!["no policy is applied so far".to_owned()],
    }
}

/// Compiles the configuration with its changes, and checks that the requests that are meant select what is contained.
fn checked(
    main: &Path,
    loaded: &Loaded,
    edits: &[(PathBuf, String)],
    sites: &[Site],
    wanted: &Wanted,
) -> Result<Vec<u8>, String> {
    if edits.is_empty() {
        return Ok(portcullis_config::compile(&loaded.config));
    }
    let (candidate, _copy) = files::candidate(main, edits)?;
    if !candidate.usable() {
        check::show_errors(&candidate);
        return Err("the configuration would have errors; nothing was changed".to_owned());
    }
    let bytes = portcullis_config::compile(&candidate.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    if let Wanted::Requests { own, .. } = wanted {
        for request in own {
            let name = match find(&policy, request) {
                // Without a request, the strictest of all policies decides.
                Whose::Strictest => continue,
                Whose::Vhost(index) => String::from_utf8_lossy(policy.vhost_name(index)).into_owned(),
                Whose::Global => String::new(),
            };
            if !sites.iter().any(|site| site.name == name) {
                return Err(format!(
                    "a request with the document root {} would select {}; nothing was changed; help: portcullis contain --vhost NAME",
                    request.document_root,
                    if name.is_empty() { "no virtual host".to_owned() } else { format!("the virtual host {name}") }
                ));
            }
        }
    }
    Ok(bytes)
}

/// Virtual hosts by their number, each with a note, and the keys of new ones.
#[derive(Default)]
struct Selected {
    known: BTreeMap<usize, String>,
    new: BTreeSet<Vec<Key>>,
    unknown: usize,
}

fn select(config: &Config, policy: &Policy<'_>, wanted: &Wanted) -> Result<Selected, String> {
    let mut selected = Selected::default();
    let (own, others) = match wanted {
        Wanted::Vhost(name) => {
            let names = || config.vhosts.iter().map(|vhost| &vhost.name.value);
            let index = names().position(|known| known == name).ok_or_else(|| check::no_vhost(name, names()))?;
            selected.known.insert(index, String::new());
            let roots = config.vhosts.get(index).map(|vhost| vhost.matches.document_root.clone()).unwrap_or_default();
            share(config, &roots.into_iter().collect(), &mut selected);
            return Ok(selected);
        }
        Wanted::Requests { own, others } => (own, others),
    };
    for request in own {
        match find(policy, request) {
            Whose::Strictest => selected.unknown += 1,
            Whose::Vhost(index) => {
                let note = selected.known.entry(index as usize).or_default();
                let has_root =
                    config.vhosts.get(index as usize).is_some_and(|vhost| !vhost.matches.document_root.is_empty());
                let stranger = Request { server_name: String::new(), ..request.clone() };
                if request.document_root.is_empty() || !matches!(find(policy, &stranger), Whose::Global) {
                    continue;
                }
                // A server reaches the same files by each of its names. One of a document root is less specific than one of that and a name,
                // and more specific than one of a name alone, whose lists it would take from the site.
                match keys_of(&stranger) {
                    Ok(keys) if has_root => drop(selected.new.insert(keys)),
                    _ => {
                        let root = &request.document_root;
                        *note = format!(
                            "NOT requests for {root} by another server name: portcullis contain --document-root {root}"
                        );
                    }
                }
            }
            Whose::Global => drop(selected.new.insert(keys_of(request)?)),
        }
    }
    for request in others {
        if let Whose::Vhost(index) = find(policy, request) {
            let note = format!("requests for {} have the same document root", request.server_name);
            selected.known.entry(index as usize).or_insert(note);
        }
    }
    let roots = own.iter().map(|request| normal(&request.document_root)).filter(|root| !root.is_empty()).collect();
    share(config, &roots, &mut selected);
    if selected.known.is_empty() && selected.new.is_empty() {
        return Err("no event of the incident names its site: the request of each was lost, and the strictest policy of all decides on \
                    those; help: contain a site by --document-root or --vhost, or every site: portcullis install UNIT --mode enforce"
            .to_owned());
    }
    Ok(selected)
}

/// Adds the virtual hosts that requests with one of these document roots may select as well: they serve the same files.
fn share(config: &Config, roots: &BTreeSet<String>, selected: &mut Selected) {
    for (index, vhost) in config.vhosts.iter().enumerate() {
        let has = |entry: &String| roots.contains(entry);
        let is_below = |entry: &String| roots.iter().any(|root| Path::new(entry).starts_with(root));
        let note = match &vhost.matches {
            matches if matches.document_root.iter().any(has) => "it has the same document root",
            matches if matches.script.iter().any(is_below) => "it has a script of that document root",
            _ => continue,
        };
        selected.known.entry(index).or_insert_with(|| note.to_owned());
    }
}

/// A path as the library compares it; empty where it is none.
fn normal(path: &str) -> String {
    let mut room = None::<Field<512>>;
    String::from_utf8_lossy(normalise(path.as_bytes(), &mut room)).into_owned()
}

/// The keys by which a request selects a virtual host that is not there yet: of what the server itself says, the narrowest that covers the
/// site.
fn keys_of(request: &Request) -> Result<Vec<Key>, String> {
    let (root, script) = (normal(&request.document_root), normal(&request.script));
    if root == "/" {
        return Err("the document root is /, which is that of every site; nothing was changed; help: portcullis install UNIT --mode \
                    enforce"
            .to_owned());
    }
    let is_trusted = [Source::Module, Source::Nginx].iter().any(|source| *source as u8 == request.source);
    let name = request.server_name.rsplit_once(':').map_or(request.server_name.as_str(), |(name, _)| name);
    Ok(match () {
        () if !root.is_empty() => vec![("document_root", root)],
        () if !script.is_empty() && script != "/" => vec![("script", script)],
        () if !request.pool.is_empty() => vec![("pool", request.pool.clone())],
        () if is_trusted && !name.is_empty() && !name.contains(['*', '?']) => vec![("server_name", name.to_owned())],
        () => {
            return Err("a request has no document root, script, pool or trusted server name that would select a site, so the global \
                        policy decides on it; nothing was changed; help: portcullis install UNIT --mode enforce"
                .to_owned());
        }
    })
}

/// Whether a virtual host is contained.
fn is_strict(vhost: &Vhost, config: &Config, is_closed: bool) -> bool {
    let scope = &vhost.scope;
    let is_empty = || {
        scope.allow.as_ref().is_some_and(|allow| allow.nets.is_empty() && allow.hosts.is_empty())
            && scope.common.as_ref().is_some_and(Vec::is_empty)
            && scope.commands.as_ref().is_some_and(Vec::is_empty)
    };
    modes::of(scope, config).rules.iter().all(|mode| *mode == Mode::Enforce) && (!is_closed || is_empty())
}

/// What selects a virtual host, in words.
fn selects(matches: &Match) -> String {
    let keys = [
        ("profile", &matches.profile),
        ("script", &matches.script),
        ("document_root", &matches.document_root),
        ("server_name", &matches.server_name),
        ("pool", &matches.pool),
    ];
    let named = keys.into_iter().filter(|(_, values)| !values.is_empty());
    let words = named.map(|(key, values)| {
        let shown: Vec<&String> = values.iter().take(SHOWN).collect();
        let more = if values.len() > SHOWN { format!(" and {} more", values.len() - SHOWN) } else { String::new() };
        format!("{key} {}{more}", shown.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(" or "))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A name that no virtual host has, and a file that is not there.
fn free_name(main: &Path, config: &Config, edits: &BTreeMap<PathBuf, String>, keys: &[Key]) -> (String, PathBuf) {
    let of = keys.first().map(|(_, value)| slug(value)).unwrap_or_default();
    let folder = main.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    let names =
        std::iter::once(format!("contain-{of}")).chain((2_u32..).map(|number| format!("contain-{of}-{number}")));
    let mut all = names.map(|name| {
        let file = folder.join(format!("{name}.toml"));
        (name, file)
    });
    let is_free = |(name, file): &(String, PathBuf)| {
        !config.vhost_names.contains(name) && !edits.contains_key(file) && std::fs::symlink_metadata(file).is_err()
    };
    all.find(is_free).unwrap_or_default()
}

/// A site's path or name as a part of a file's name.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character.to_ascii_lowercase() {
            plain if plain.is_ascii_alphanumeric() => out.push(plain),
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
        if out.len() == SLUG_MAX {
            break;
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "site".to_owned() } else { out.to_owned() }
}

impl Site {
    /// In a line.
    pub fn line(&self) -> String {
        let Site { name, file, selects, note, .. } = self;
        let new = if self.is_new { "new " } else { "" };
        let note = if note.is_empty() { String::new() } else { format!("; {note}") };
        out::printable(&format!("{new}virtual host {name} ({}), selected by {selects}{note}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
