//! A choice of events, as it is written on a command line: what finds the same events again.

use super::Selection;
use crate::text::{option, quoted};
use portcullis_story::time::Moment;
use std::ffi::OsString;
use std::path::Path;

impl Selection {
    /// Its options, each with its value.
    fn options(&self) -> Vec<(&'static str, String)> {
        let moment = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.short());
        let one = |name, value: Option<String>| value.map(|value| (name, value));
        let all = |name: &'static str, values: &[String]| {
            values.iter().map(|value| (name, value.clone())).collect::<Vec<_>>()
        };
        let list = self.probes.is_elsewhere().then(|| self.probes.probe_list.to_string_lossy().into_owned());
        let mut options: Vec<(&'static str, String)> =
            one("since", moment(&self.since)).into_iter().chain(one("until", moment(&self.until))).collect();
        options.extend(all("vhost", &self.vhost));
        options.extend(all("rule", &self.rule));
        options.extend(one("mode", self.mode.clone()));
        options.extend(one("unknown", self.unknown.clone()));
        options.extend(one("severity", self.severity.map(|level| level.to_string())));
        options.extend(all("host", &self.host));
        options.extend(all("site", &self.site));
        options.extend(one("script", self.script.clone()));
        options.extend(one("client", self.client.clone()));
        options.extend(all("request", &self.request));
        options.extend(all("id", &self.id));
        options.extend(one("probe-list", list));
        options
    }

    /// The switches that have no value.
    fn switches(&self) -> impl Iterator<Item = &'static str> {
        [("--probes", self.probes.probes), ("--rotated", self.rotated)]
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| name)
    }

    /// A command with this choice, for a shell. Its values may come from an attacker: each is one word.
    pub fn command(&self, verb: &str) -> String {
        let options = self.options().into_iter().map(|(name, value)| match name {
            // Without a sign between them, this one has no value.
            "unknown" => format!("--{name}={}", quoted(&value)),
            _ => option(name, &value),
        });
        let mut words: Vec<String> = vec![format!("portcullis {verb}")];
        words.extend(options.chain(self.switches().map(str::to_owned)));
        if !self.files.is_empty() {
            words.push("--".to_owned());
        }
        words.extend(self.files.iter().map(|file| quoted(&file.display().to_string())));
        words.join(" ")
    }

    /// The same as words that no shell reads.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            self.options().into_iter().map(|(name, value)| format!("--{name}={value}").into()).collect();
        words.extend(self.switches().map(OsString::from));
        if !self.files.is_empty() {
            words.push("--".into());
        }
        words.extend(self.files.iter().map(|file| Path::as_os_str(file).to_owned()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Verb};
    use clap::Parser;

    fn parsed(words: &[OsString]) -> Selection {
        let all = ["portcullis", "events"].map(OsString::from).into_iter().chain(words.iter().cloned());
        match Arguments::try_parse_from(all).expect("a command line").verb {
            Verb::Events(arguments) => arguments.selection,
            _ => unreachable!("events"),
        }
    }

    /// Whatever is chosen: the words choose the same, and a shell makes the same words of the command.
    #[test]
    fn the_words_of_a_choice_choose_the_same() {
        const HOSTILE: &str = "-a\n'\"$(id) \u{1b}[2J";
        let mut given: Vec<OsString> = [
            "--since=2026-11-24",
            "--until=2026-11-24T16:25:14.5Z",
            "--vhost=shop",
            "--vhost=-",
            "--rule=exec-tool",
            "--mode=audit",
            "--unknown=any",
            "--severity=high",
            "--probes",
            "--probe-list=/x y",
            "--rotated",
        ]
        .map(OsString::from)
        .to_vec();
        for name in ["host", "site", "script", "client", "request", "id"] {
            given.push(format!("--{name}={HOSTILE}").into());
        }
        given.extend(["--", "-file", "/var/log/a b.jsonl"].map(OsString::from));
        let first = parsed(&given);
        let words = first.words();
        assert_eq!(parsed(&words).words(), words);
        assert!(words.len() >= given.len(), "{words:?}");
        let command = first.command("events");
        let script = format!("portcullis() {{ shift; for word; do printf '%s\\0' \"$word\"; done; }}; {command}");
        let done = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
        let by_shell: Vec<OsString> =
            String::from_utf8_lossy(&done.stdout).split_terminator('\0').map(OsString::from).collect();
        assert_eq!(parsed(&by_shell).words(), words, "{command}");
    }
}
