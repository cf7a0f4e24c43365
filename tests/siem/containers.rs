//! examples/containers/, read by programs that are not of this project: hadolint, and the schemas of Kubernetes' API.

use crate::harness::Place;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a tool accepts a file, and what it says.
fn accepts(tool: &str, words: &[&str], file: &Path) -> (bool, String) {
    let tool = root().join("target/tools/python/bin").join(tool);
    assert!(tool.exists(), "make the tools first: scripts/tools");
    let done = Command::new(tool).args(words).arg(file).output().expect("a tool");
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

fn dockerfiles() -> Vec<PathBuf> {
    let all = std::fs::read_dir(root().join("examples/containers")).expect("examples");
    let all = all.map(|entry| entry.expect("an entry").path());
    all.filter(|path| path.extension().is_some_and(|end| end == "Dockerfile")).collect()
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfiles() {
    let place = Place::new();
    let all = dockerfiles();
    assert_eq!(all.len(), 6, "{all:?}");
    for path in &all {
        let (fine, said) = accepts("hadolint", &["--no-color"], path);
        assert!(fine && said.is_empty(), "{}: {said}", path.display());
        let text = std::fs::read_to_string(path).expect("a Dockerfile");
        let is_musl = path.ends_with("php-fpm-alpine.Dockerfile");
        assert!(is_musl || text.lines().count() == 4, "{}: four lines", path.display());
    }
    let wrong = place.write("Dockerfile", "FROM php\nRUN cd /tmp\n");
    let (fine, said) = accepts("hadolint", &["--no-color"], &wrong);
    assert!(!fine && said.contains("DL3006") && said.contains("DL3003"), "{said}");
}

/// What the documentation shows is what is in the folder, but for its base.
#[test]
fn the_documents_dockerfile_is_the_examples() {
    let page = std::fs::read_to_string(root().join("docs/containers.md")).expect("docs/containers.md");
    let shown = page.split("```dockerfile\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a Dockerfile");
    for path in dockerfiles().iter().filter(|path| !path.ends_with("php-fpm-alpine.Dockerfile")) {
        let text = std::fs::read_to_string(path).expect("a Dockerfile");
        let behind = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned());
        assert_eq!(behind(&text), behind(shown), "{}", path.display());
    }
    let first = std::fs::read_to_string(root().join("examples/containers/php-fpm.Dockerfile")).expect("a Dockerfile");
    assert_eq!(first, shown);
}

#[test]
fn kubernetes_accepts_the_example() {
    let place = Place::new();
    let path = root().join("examples/containers/kubernetes.yaml");
    let text = std::fs::read_to_string(&path).expect("an example");
    for version in ["1.32", "1.37"] {
        let words = ["--strict", "--kubernetes-version", version];
        let (fine, said) = accepts("kubernetes-validate", &words, &path);
        assert!(fine, "{said}");
        assert_eq!(said.matches("passed for resource").count(), 2, "{said}");
        for (right, wrong) in [("mountPath: /tmp", "mountPaths: /tmp"), ("runAsUser: 33", "runAsUser: www-data")] {
            let wrong = place.write("wrong.yaml", &text.replace(right, wrong));
            assert!(!accepts("kubernetes-validate", &words, &wrong).0, "{version}: {right}");
        }
    }
}
