//! How often something was seen, when, by which scripts and clients; and whether that is too little.

use crate::check::counted;
use crate::show;
use jiff::Timestamp;

/// How many scripts and clients are named.
const NAMED: usize = 20;
/// What happened within so many seconds alone is one occasion.
const OCCASION: i64 = 10 * 60;

/// How often something was seen, and where.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// How often.
    pub count: usize,
    /// When first and last, in seconds since 1970; `None` where no event says when.
    pub when: Option<(i64, i64)>,
    /// By which scripts.
    pub scripts: Vec<String>,
    /// For which clients.
    pub clients: Vec<String>,
    /// Over which transports, of connections.
    pub transports: Vec<String>,
    /// Some of it was for no client.
    pub without_client: bool,
    /// One of the requests.
    pub example: String,
    /// What is to be known about the entry.
    pub note: String,
}

fn add(list: &mut Vec<String>, text: &str) {
    if list.len() < NAMED
        && let Err(at) = list.binary_search_by(|known| known.as_str().cmp(text))
    {
        list.insert(at, text.to_owned());
    }
}

/// A moment as it is shown.
pub fn shown(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

impl Evidence {
    /// Adds calls of one event.
    pub fn add(&mut self, calls: usize, when: Option<i64>, script: &str, client: &str) {
        self.count = self.count.saturating_add(calls);
        self.span(when.map(|when| (when, when)));
        add(&mut self.scripts, if script.is_empty() { "no script" } else { script });
        match client {
            "" => self.without_client = true,
            client => add(&mut self.clients, client),
        }
    }

    /// Adds the transport of a connection.
    pub fn over(&mut self, transport: &str) {
        if !transport.is_empty() {
            add(&mut self.transports, transport);
        }
    }

    fn span(&mut self, other: Option<(i64, i64)>) {
        self.when = match (self.when, other) {
            (Some((first, last)), Some((begin, end))) => Some((first.min(begin), last.max(end))),
            (one, other) => one.or(other),
        };
    }

    /// That of both together.
    pub fn join(&mut self, other: &Evidence) {
        self.count = self.count.saturating_add(other.count);
        self.span(other.when);
        other.scripts.iter().for_each(|script| add(&mut self.scripts, script));
        other.clients.iter().for_each(|client| add(&mut self.clients, client));
        other.transports.iter().for_each(|transport| add(&mut self.transports, transport));
        self.without_client |= other.without_client;
        if self.example.is_empty() {
            self.example.clone_from(&other.example);
        }
        if self.note.is_empty() {
            self.note.clone_from(&other.note);
        }
    }

    /// Why it is too little to tell an application's habit from a single visitor's deed.
    pub fn too_little(&self) -> Option<String> {
        let mut why = Vec::new();
        if self.count < 2 {
            why.push("only once".to_owned());
        } else if let Some((first, last)) = self.when
            && last - first < OCCASION
        {
            why.push(format!("only within {}", counted(((last - first) / 60 + 1) as usize, "minute")));
        }
        if let ([client], false) = (self.clients.as_slice(), self.without_client) {
            why.push(format!("only from {}", show::value(client)));
        }
        (!why.is_empty()).then(|| why.join(", "))
    }

    /// The first and the last moment, as they are shown.
    pub fn moments(&self) -> (String, String) {
        self.when.map(|(first, last)| (shown(first), shown(last))).unwrap_or_default()
    }

    /// In a line, for a comment.
    pub fn line(&self) -> String {
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        let (first, last) = self.moments();
        let when = if first == last { first } else { format!("{first} to {last}") };
        let mut scripts: Vec<String> = self.scripts.iter().map(|script| show::value(script)).take(3).collect();
        if self.scripts.len() > 3 {
            scripts.push("others".to_owned());
        }
        // Behind it is a note.
        let example: String = self.example.chars().take(80).collect();
        let example = if example.contains([';', '"', '\\']) { show::value(&example) } else { example };
        let note = if self.note.is_empty() { String::new() } else { format!("; {}", self.note) };
        // Most are TCP: what is not is said.
        let over = match self.transports.as_slice() {
            [] => String::new(),
            [one] if one == "tcp" => String::new(),
            all => format!(", over {}", all.join(" and ")),
        };
        format!("{times}, {when}{over}, by {}; such as: {example}{note}", scripts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_one_client_or_minutes_are_too_little() {
        let seen = |events: &[(usize, i64, &str)]| {
            let mut evidence = Evidence::default();
            for (calls, when, client) in events {
                evidence.add(*calls, Some(*when), "/srv/a.php", client);
            }
            evidence.too_little()
        };
        let hour = 3600;
        assert_eq!(seen(&[(1, 0, "")]).as_deref(), Some("only once"));
        assert_eq!(seen(&[(1, 0, "a")]).as_deref(), Some("only once, only from a"));
        assert_eq!(seen(&[(9, 0, "a"), (1, 90, "b")]).as_deref(), Some("only within 2 minutes"));
        assert_eq!(seen(&[(1, 0, "a"), (1, hour, "a")]).as_deref(), Some("only from a"));
        assert_eq!(seen(&[(1, 0, "a"), (1, hour, "b")]), None);
        // What no client asked for, such as a job, has no client to be counted.
        assert_eq!(seen(&[(1, 0, ""), (1, hour, "")]), None);
        assert_eq!(seen(&[(1, 0, "a"), (1, hour, "")]), None);
    }
}
