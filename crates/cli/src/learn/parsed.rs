//! Reads an entry back as the configuration would, before anybody is told to write it.

use super::edit;
use super::evidence::Evidence;
use super::propose::{List, Proposal};
use portcullis_config::Severity;
use std::path::Path;

/// What the configuration says of an entry: an error, or where `warnings` asks for them, a warning.
fn said(list: List, text: &str, warnings: bool) -> Option<String> {
    let mut proposal = Proposal::default();
    proposal.entries.insert((list, text.to_owned()), Evidence::default());
    let whole = match edit::alone(false, &proposal) {
        Ok(whole) => whole,
        Err(why) => return Some(why),
    };
    let read = portcullis_config::parse_text(Path::new("/proposal"), &whole);
    let is_one = |severity| severity == Severity::Error || warnings;
    let found = read.diagnostics.into_iter().find(|diagnostic| is_one(diagnostic.severity))?;
    Some(found.message)
}

/// Why an entry cannot be written.
pub fn wrong(list: List, text: &str) -> Option<String> {
    said(list, text, false).map(|why| format!("the configuration does not take it: {why}"))
}

/// Why a pattern is not to be written: `check` would warn of it.
pub fn doubtful(list: List, text: &str) -> Option<String> {
    said(list, text, true)
}

#[cfg(test)]
mod tests {
    use super::super::propose::literal;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let lists = [List::Egress, List::Exec, List::Listen, List::Resolvers, List::Namespaces, List::Unguarded];
        let texts =
            ["192.88.1.1:25", "/usr/bin/convert a b", "8080", "192.88.1.53", "/usr/bin/bwrap", "/usr/bin/fping"];
        for (list, text) in lists.into_iter().zip(texts) {
            assert_eq!(wrong(list, text), None, "{text}");
            assert!(wrong(list, "\u{0} ; |").is_some(), "{list:?}");
        }
    }

    /// Each character of a shell in an argument: quoted so that it is read back, or not proposed.
    #[test]
    fn any_word_is_quoted_or_not_proposed() {
        for special in (0..128_u8).map(char::from).chain(['\u{e9}', '\u{2019}']) {
            for word in
                [format!("200x200{special}"), format!("{special}x"), special.to_string(), format!("a {special}b")]
            {
                let words = ["/usr/bin/convert".to_owned(), word.clone(), "-x".to_owned()];
                match literal(&words) {
                    Ok(text) => {
                        assert_eq!(portcullis_config::command(&text).expect("simple"), words, "{text}");
                        assert_eq!(wrong(List::Exec, &text), None, "{text}");
                    }
                    Err(why) => assert!(special.is_control() || "*'\"\\$`!".contains(special), "{word:?}: {why}"),
                }
            }
        }
        let words = ["/usr/bin/convert", "a.png", "-resize", "200x200>", "b.png"].map(str::to_owned);
        assert_eq!(literal(&words).unwrap(), "/usr/bin/convert a.png -resize '200x200>' b.png");
    }
}
