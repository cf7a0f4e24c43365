//! Another program takes the place of the one that was judged, just before the kernel looks: one without the guard, which could not
//! notice. What somebody but root can replace is run by the descriptor of what was judged, and of a script its interpreter is.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Place, Pool, enter};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const HOST: &str = "shop.example";

struct Site {
    starter: String,
    swap: PathBuf,
    nginx: Nginx,
    _servers: (Guard, Fpm),
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

fn site(place: &Place, mode: &str, layer: &str) -> Site {
    let swap = place.join("swap");
    for folder in ["swap", "www", "fixed"] {
        std::fs::create_dir_all(place.join(folder)).expect("a folder");
    }
    chown(&swap, Some(33), Some(33)).expect("an owner");
    std::fs::rename(compile(place, "swapped", &["-static", "-DEVIL"]), place.join("second")).expect("a rename");
    let starter = compile(place, "swapped", &[]);
    let script = place.write("script", "#!/usr/bin/perl -w\nprint \"$^X $0 @ARGV\\n\";\n");
    let nested = place.write("nested", &format!("#!{}\n", script.display()));
    for path in [&script, &nested] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("permissions");
    }
    for (name, to) in [("own", Path::new(&starter)), ("script", &script), ("nested", &nested)] {
        symlink(to, swap.join(name)).expect("a link");
        symlink(to, place.join("fixed").join(name)).expect("a link");
    }
    run_page(place);
    let guard = place.guard_of_every_event(&format!(
        "mode = \"audit\"\n[rules.exec-unguarded]\nmode = \"{mode}\"\nreasons = [\"setuid\", \"static\", \"foreign\"]\n\
         [rules.exec-place]\nmode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n"
    ));
    let fpm = Fpm::start(place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    Site { starter, swap, nginx, _servers: (guard, fpm) }
}

impl Site {
    fn run(&self, words: &[&str]) -> String {
        run(self.nginx.port, HOST, words)
    }

    /// How often each program ran while `program` leads to one and the other in turn.
    fn swapped(&self, way: &str, first: &Path, second: &Path) -> [u64; 3] {
        let done = AtomicBool::new(false);
        let said = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (next, program) = (self.swap.join("next"), self.swap.join("program"));
                while !done.load(Ordering::Relaxed) {
                    for target in [first, second] {
                        symlink(target, &next).expect("a link");
                        std::fs::rename(&next, &program).expect("a rename");
                    }
                }
            });
            let said = self.run(&[&self.starter, "start", way, "2", &text(&self.swap.join("program"))]);
            done.store(true, Ordering::Relaxed);
            said
        });
        // What the programs write, an interpreter about what is no script of its, stands before.
        let last = said.rfind("first ").map_or("", |at| &said[at..]);
        let numbers: Vec<u64> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        numbers.get(..3).and_then(|three| three.try_into().ok()).unwrap_or_else(|| panic!("{way}: {said}"))
    }
}

#[test]
fn what_takes_the_place_of_a_judged_program_does_not_run() {
    enter();
    for layer in ["off", "supervise"] {
        let place = Place::new();
        let site = site(&place, "enforce", layer);
        let (second, script, nested) = (place.join("second"), place.join("script"), place.join("nested"));
        assert!(!site.run(&[&text(&second)]).ends_with("42"), "{layer}");
        for (way, first) in [
            ("execve", Path::new("/bin/true")),
            ("execvp", Path::new("/bin/true")),
            ("spawn", Path::new("/bin/true")),
            ("closing", Path::new("/bin/true")),
            ("execve", &script),
            ("spawn", &script),
            ("execve", &nested),
        ] {
            let [ran, replaced, refused] = site.swapped(way, first, &second);
            assert_eq!(replaced, 0, "{layer}: {way} {first:?}: {ran} ran, {refused} were refused");
            assert_eq!(ran == 0, first == nested, "{layer}: {way} {first:?}: {ran} ran, {refused} were refused");
        }
    }
}

/// By its path, where that cannot be replaced, and in audit. By its descriptor, a program sees another name in its auxiliary values alone;
/// a script sees nothing.
#[test]
fn what_a_program_sees_of_how_it_is_started() {
    enter();
    for (mode, layer) in [("audit", "off"), ("audit", "supervise"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let site = site(&place, mode, layer);
        for folder in ["swap", "fixed"] {
            let own = text(&place.join(folder).join("own"));
            let said = site.run(&[&own, "one"]);
            let (name, rest) = said.split_once(' ').expect("a name");
            let by_descriptor = mode == "enforce" && folder == "swap";
            assert_eq!(name.starts_with("/dev/fd/"), by_descriptor, "{mode}, {layer}: {said}");
            assert!(by_descriptor || name == own, "{mode}, {layer}: {said}");
            assert_eq!(rest, format!("{own} one\n 0"), "{mode}, {layer}");
            let script = text(&place.join(folder).join("script"));
            let said = site.run(&[&script, "one", "two"]);
            assert_eq!(said, format!("/usr/bin/perl {script} one two\n 0"), "{mode}, {layer}");
            // A script whose interpreter is one: what cannot be held fast is for the policy to decide.
            let nested = text(&place.join(folder).join("nested"));
            let said = site.run(&[&nested, "one"]);
            let wanted = format!("/usr/bin/perl {} {nested} one\n 0", place.join("script").display());
            assert_eq!(said == wanted, !by_descriptor, "{mode}, {layer}: {said}");
        }
    }
}
