//! Wider entries, where there is evidence for them: a network, a wildcard, a glob.

use super::dangers;
use super::evidence::Evidence;
use super::parsed;
use super::propose::{List, ONE_CHARACTER, Proposal, pattern, words};
use portcullis_policy::command::glob;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How many literal entries a wider one takes.
const EVIDENCE: usize = 3;
/// The first port that any program may open.
const UNPRIVILEGED: u16 = 1024;

/// A wider entry, and the literal ones that it would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wider {
    /// Which list.
    pub list: List,
    /// The entry.
    pub text: String,
    /// What it covers.
    pub covers: BTreeSet<String>,
}

/// The wider entries that a proposal has evidence for.
pub fn wider(proposal: &Proposal) -> Vec<Wider> {
    let mut groups: BTreeMap<(List, String), BTreeSet<String>> = BTreeMap::new();
    for (list, text) in proposal.entries.keys().filter(|(list, _)| *list == List::Egress) {
        if let Some(pattern) = destination(text) {
            groups.entry((*list, pattern)).or_default().insert(text.clone());
        }
    }
    groups.extend(
        commands(proposal).into_iter().chain(ports(proposal)).map(|(list, text, covers)| ((list, text), covers)),
    );
    let found = groups.into_iter().filter(|(_, covers)| covers.len() >= EVIDENCE);
    let found = found.filter(|((list, text), _)| parsed::doubtful(*list, text).is_none());
    found.map(|((list, text), covers)| Wider { list, text, covers }).collect()
}

type Found = (List, String, BTreeSet<String>);

/// Ranges of ports for hosts of which many were used, as FTP does: from the lowest to the highest that was seen.
fn ports(proposal: &Proposal) -> Vec<Found> {
    let mut hosts: BTreeMap<&str, BTreeMap<u16, &String>> = BTreeMap::new();
    for (_, text) in proposal.entries.keys().filter(|(list, _)| *list == List::Egress) {
        if let Some((host, port)) = text.rsplit_once(':')
            && let Some(port) = port.parse().ok().filter(|port| *port >= UNPRIVILEGED)
        {
            hosts.entry(host).or_default().insert(port, text);
        }
    }
    let range = |(host, ports): (&str, BTreeMap<u16, &String>)| {
        let ends = (ports.first_key_value()?.0, ports.last_key_value()?.0);
        Some((
            List::Egress,
            format!("{host}:{}-{}", ends.0, ends.1),
            ports.values().map(|text| (*text).clone()).collect(),
        ))
    };
    hosts.into_iter().filter_map(range).collect()
}

/// A command's words, and its text.
type Command = (Vec<String>, String);

/// Commands that differ in words which name something: every such word is open at once.
fn commands(proposal: &Proposal) -> Vec<Found> {
    let mut alike: BTreeMap<Vec<(String, bool)>, Vec<Command>> = BTreeMap::new();
    for (_, text) in proposal.entries.keys().filter(|(list, _)| *list == List::Exec) {
        let Some(words) = words(text) else { continue };
        let fixed = words.iter().enumerate().map(|(place, word)| match fixed(word) {
            length if place > 0 && length < word.len() => (word[..length].to_owned(), true),
            _ => (word.clone(), place > 0 && word.is_empty()),
        });
        alike.entry(fixed.collect()).or_default().push((words, text.clone()));
    }
    let mut found = Vec::new();
    for (fixed, commands) in alike {
        let open = |(place, (fixed, is_open)): (usize, &(String, bool))| {
            let seen: BTreeSet<&str> = commands.iter().map(|(words, _)| &words[place][fixed.len()..]).collect();
            match seen.first() {
                Some(only) if seen.len() == 1 || !is_open => format!("{fixed}{only}"),
                _ => format!("{fixed}{}*", start_of_all(&seen)),
            }
        };
        let pattern = pattern(&fixed.iter().enumerate().map(open).collect::<Vec<String>>());
        if let Ok(text) = pattern
            && commands.len() >= EVIDENCE
        {
            found.push((List::Exec, text, commands.into_iter().map(|(_, text)| text).collect()));
        }
    }
    found
}

/// What a command has in common with those that differ in words which name something.
pub fn kind_of_command(text: &str) -> Option<String> {
    let words = words(text)?;
    let kind = words.iter().enumerate().map(|(place, word)| match fixed(word) {
        length if place > 0 && length < word.len() => format!("{}*", &word[..length]),
        _ => word.clone(),
    });
    Some(kind.collect::<Vec<String>>().join(" "))
}

/// How much of a word is the program's own: all of an option and of a subcommand, up to the value that the option has in the same word,
/// and nothing of what the next call names otherwise.
fn fixed(word: &str) -> usize {
    if is_data(word) {
        return 0;
    }
    let value = word.strip_prefix("--").and_then(|option| option.split_once('='));
    match value.filter(|(name, value)| is_data(value) && !dangers::is_instruction(name)) {
        Some((_, value)) => word.len() - value.len(),
        None => word.len(),
    }
}

/// Whether a word names something that the next call names otherwise: a file, a size, an address; no option, and no word of the
/// program's own, such as `log`.
fn is_data(word: &str) -> bool {
    !word.starts_with('-') && (word.is_empty() || word.contains(|one: char| !one.is_ascii_alphabetic() && one != '-'))
}

/// What all of these words begin with: a folder with its `/`, or a name with its `=` or `:`; empty where there is none.
fn start_of_all(words: &BTreeSet<&str>) -> String {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return String::new() };
    // In the order of bytes, what the first and the last share is shared by all.
    let shared = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
    let end = first.as_bytes()[..shared].iter().rposition(|byte| b"/=:".contains(byte)).map_or(0, |at| at + 1);
    let start = first.get(..end).unwrap_or_default();
    // The root is every folder.
    if start == "/" { String::new() } else { start.to_owned() }
}

/// Replaces literal entries by the wider ones that cover most, each literal once.
pub fn apply(proposal: &mut Proposal) {
    let mut all = wider(proposal);
    all.sort_by_key(|wider| std::cmp::Reverse(wider.covers.len()));
    for wider in all {
        let covered: Vec<_> = wider.covers.iter().map(|text| (wider.list, text.clone())).collect();
        if covered.iter().all(|key| proposal.entries.contains_key(key)) {
            let mut evidence = Evidence::default();
            for key in covered {
                if let Some(part) = proposal.entries.remove(&key) {
                    evidence.join(&part);
                }
            }
            // What others of it were seen is covered as well.
            let rest =
                proposal.entries.keys().filter(|(list, text)| *list == wider.list && covers(*list, &wider.text, text));
            for key in rest.cloned().collect::<Vec<_>>() {
                if let Some(part) = proposal.entries.remove(&key) {
                    evidence.join(&part);
                }
            }
            if evidence.note == ONE_CHARACTER && !wider.text.contains('?') {
                evidence.note.clear();
            }
            proposal.entries.insert((wider.list, wider.text), evidence);
        }
    }
}

/// Whether an entry makes another one redundant.
pub fn covers(list: List, wide: &str, literal: &str) -> bool {
    let network = |host: &str| {
        let host = host.trim_matches(['[', ']']);
        host.parse::<ipnet::IpNet>().or_else(|_| host.parse::<IpAddr>().map(ipnet::IpNet::from)).ok()
    };
    match (list, wide.rsplit_once(':'), literal.rsplit_once(':')) {
        _ if wide == literal => false,
        (List::Egress, Some((wide, port)), Some((host, other))) if holds(port, other) => {
            if wide == host {
                return true;
            }
            let by_name = wide.strip_prefix('*').is_some_and(|end| host.ends_with(end) && !host.starts_with('*'));
            by_name || network(wide).zip(network(host)).is_some_and(|(wide, host)| wide.contains(&host))
        }
        (List::Exec, ..) => {
            let words = |text: &str| portcullis_config::command(text).ok();
            let (Some(wide), Some(literal)) = (words(wide), words(literal)) else { return false };
            // A literal command has no `*` that is not one, and each `*` of a wider one holds its `?`.
            let each = |(place, (wide, literal)): (usize, (&String, &String))| {
                wide == literal || (!literal.contains('*') && glob(wide.as_bytes(), literal.as_bytes(), place == 0))
            };
            wide.len() == literal.len() && wide.iter().zip(&literal).enumerate().all(each)
        }
        _ => false,
    }
}

/// Whether ports have a port or a range.
fn holds(wide: &str, literal: &str) -> bool {
    let range = |text: &str| {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Some((low.parse::<u16>().ok()?, high.parse::<u16>().ok()?))
    };
    wide == literal || range(wide).zip(range(literal)).is_some_and(|(wide, is)| wide.0 <= is.0 && is.1 <= wide.1)
}

/// The network of an address (/24, /64), or the names beside a name, with the same port.
pub fn destination(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let net = ipnet::IpNet::new(address, if address.is_ipv4() { 24 } else { 64 }).ok()?.trunc();
        return Some(if address.is_ipv4() { format!("{net}:{port}") } else { format!("[{net}]:{port}") });
    }
    let (_, parent) = host.split_once('.')?;
    // A public suffix is not one owner's.
    let owned = psl::domain_str(host)?;
    (parent == owned || parent.ends_with(&format!(".{owned}"))).then(|| format!("*.{parent}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(list: List, texts: &[&str]) -> Proposal {
        let mut proposal = Proposal::default();
        for text in texts {
            let evidence = Evidence { count: 1, ..Evidence::default() };
            proposal.entries.insert((list, (*text).to_owned()), evidence);
        }
        proposal
    }

    fn applied(list: List, texts: &[&str]) -> Vec<String> {
        let mut proposal = proposal(list, texts);
        apply(&mut proposal);
        proposal.entries.into_keys().map(|(_, text)| text).collect()
    }

    #[test]
    fn three_of_a_kind_are_evidence() {
        let nets = ["192.88.1.1:25", "192.88.1.2:25", "192.88.1.3:25"];
        assert_eq!(applied(List::Egress, &nets), ["192.88.1.0/24:25"]);
        assert_eq!(applied(List::Egress, &nets[..2]).len(), 2);
        assert_eq!(applied(List::Egress, &["192.88.1.1:25", "192.88.1.2:26", "192.88.1.3:25"]).len(), 3);
        let names = ["a.x.example.com:587", "b.x.example.com:587", "c.x.example.com:587"];
        assert_eq!(applied(List::Egress, &names), ["*.x.example.com:587"]);
        let v6 = ["[2a0e:1::1]:25", "[2a0e:1::2]:25", "[2a0e:1::3]:25"];
        assert_eq!(applied(List::Egress, &v6), ["[2a0e:1::/64]:25"]);
    }

    #[test]
    fn what_is_covered_is_redundant() {
        for (list, wide, literal, wanted) in [
            (List::Egress, "192.88.1.0/24:25", "192.88.1.9:25", true),
            (List::Egress, "192.88.1.0/24:25", "192.88.1.9:26", false),
            (List::Egress, "[2a0e:1::/64]:25", "[2a0e:1::9]:25", true),
            (List::Egress, "*.x.example:25", "a.x.example:25", true),
            (List::Egress, "*.x.example:25", "x.example:25", false),
            (List::Egress, "a.example:25", "a.example:25", false),
            (List::Exec, "/bin/a * c", "/bin/a b c", true),
            (List::Exec, "/bin/a * c", "/bin/a b d", false),
            (List::Exec, "/bin/a x/*", "/bin/a 'x/?y'", true),
            (List::Exec, "/bin/a xy", "/bin/a 'x?'", false),
            (List::Exec, "/bin/a '?'", "/bin/a '*'", false),
        ] {
            assert_eq!(covers(list, wide, literal), wanted, "{wide} {literal}");
        }
    }

    #[test]
    fn a_public_suffix_is_nobodys() {
        assert_eq!(applied(List::Egress, &["a.co.uk:587", "b.co.uk:587", "c.co.uk:587"]).len(), 3);
        assert_eq!(applied(List::Egress, &["a.com:1", "b.com:1", "c.com:1"]).len(), 3);
    }

    #[test]
    fn arguments_and_never_programs() {
        for (commands, wide) in [
            (
                ["/usr/bin/convert 1 x.png", "/usr/bin/convert 2 x.png", "/usr/bin/convert 3 x.png"],
                "/usr/bin/convert * x.png",
            ),
            // DokuWiki's images and merges: each word that names something is open.
            (
                [
                    "/usr/bin/convert -resize '80x80>' /srv/wiki/media/a/1.png /srv/wiki/cache/7/x.png",
                    "/usr/bin/convert -resize '90x60>' /srv/wiki/media/b/2.png /srv/wiki/cache/8/y.png",
                    "/usr/bin/convert -resize '9x6>' /srv/wiki/media/c.png /srv/wiki/cache/9/z.png",
                ],
                "/usr/bin/convert -resize * /srv/wiki/media/* /srv/wiki/cache/*",
            ),
            (
                [
                    "/usr/bin/diff3 -mE /srv/a /srv/b /srv/c",
                    "/usr/bin/diff3 -mE /srv/d /srv/e /srv/f",
                    "/usr/bin/diff3 -mE /srv/g /srv/h /srv/i",
                ],
                "/usr/bin/diff3 -mE /srv/* /srv/* /srv/*",
            ),
            // MediaWiki's thumbnails: of a setting and of a URL, what names the size and the file.
            (
                [
                    "/usr/bin/convert -define jpeg:size=200x150 -set comment 'From: http://a.example/?title=File:A.jpg' /tmp/t_1.jpg",
                    "/usr/bin/convert -define jpeg:size=60x45 -set comment 'From: http://a.example/?title=File:B.jpg' /tmp/t_2.jpg",
                    "/usr/bin/convert -define jpeg:size=60x45 -set comment 'From: http://a.example/?title=File:A.jpg' /tmp/t_3.jpg",
                ],
                "/usr/bin/convert -define jpeg:size=* -set comment 'From: http://a.example/?title=File:*' /tmp/*",
            ),
            // gitweb's archives: of an option, the value that names something.
            (
                [
                    "/usr/bin/git --git-dir=/srv/git/a.git archive --format=zip --prefix=a-1/ 12ab",
                    "/usr/bin/git --git-dir=/srv/git/b.git archive --format=zip --prefix=b-2/ 34cd",
                    "/usr/bin/git --git-dir=/srv/git/c.git archive --format=zip --prefix=c-3/ 56ef",
                ],
                "/usr/bin/git --git-dir=/srv/git/* archive --format=zip --prefix=* *",
            ),
        ] {
            assert_eq!(applied(List::Exec, &commands), [wide]);
            for command in commands {
                assert!(covers(List::Exec, wide, command), "{wide}: {command}");
            }
        }
        for commands in [
            ["/bin/a x/1", "/bin/b x/1", "/bin/c x/1"],
            // What the program does is no data, nor is an option, nor what an option runs.
            ["/usr/bin/git log", "/usr/bin/git show", "/usr/bin/git push"],
            ["/usr/bin/git --paginate", "/usr/bin/git --bare", "/usr/bin/git --version"],
            ["/usr/bin/git --exec-path=/srv/a", "/usr/bin/git --exec-path=/srv/b", "/usr/bin/git --exec-path=/srv/c"],
        ] {
            assert_eq!(applied(List::Exec, &commands).len(), 3, "{commands:?}");
        }
    }

    #[test]
    fn a_note_is_about_what_the_entry_has() {
        for (texts, wanted) in [
            (["/usr/bin/convert '/srv/x?1'", "/usr/bin/convert '/srv/x?2'", "/usr/bin/convert '/srv/x?3'"], ""),
            (
                ["/usr/bin/convert '/srv/x?=1'", "/usr/bin/convert '/srv/x?=2'", "/usr/bin/convert '/srv/x?=3'"],
                ONE_CHARACTER,
            ),
        ] {
            let mut proposal = proposal(List::Exec, &texts);
            proposal.entries.values_mut().for_each(|evidence| evidence.note = ONE_CHARACTER.to_owned());
            apply(&mut proposal);
            let notes: Vec<&str> = proposal.entries.values().map(|evidence| evidence.note.as_str()).collect();
            assert_eq!(notes, [wanted], "{texts:?}");
        }
    }

    #[test]
    fn many_ports_of_one_host_are_a_range() {
        let ports = ["ftp.example:30011", "ftp.example:30412", "ftp.example:30755", "ftp.example:21"];
        assert_eq!(applied(List::Egress, &ports), ["ftp.example:21", "ftp.example:30011-30755"]);
        assert_eq!(applied(List::Egress, &ports[..2]).len(), 2);
        assert!(covers(List::Egress, "ftp.example:30011-30755", "ftp.example:30412"));
        assert!(!covers(List::Egress, "ftp.example:30011-30755", "ftp.example:21"));
    }
}
