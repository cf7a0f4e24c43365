//! What a command has in common with others of its kind: `convert /tmp/phpA1.jpg out/17.jpg` is like any other conversion.

use std::fmt::Write;

/// Words beyond that are not looked at.
const WORDS_MAX: usize = 40;

/// A command line without what differs from call to call: numbers, the names of files, long codes. An address of the web keeps its host.
pub fn of_command(line: &str) -> String {
    let mut out = String::new();
    let apart = |character: char| character.is_whitespace() || "'\"`;|&()<>=,".contains(character);
    for word in line.split(apart).filter(|word| !word.is_empty()).take(WORDS_MAX) {
        match word.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let _ = write!(out, "{scheme}://{host} ");
            }
            None if word.starts_with('/') => {
                let mut parts = word.split('/').skip(1);
                let _ = write!(out, "/{}/* ", parts.next().unwrap_or_default());
            }
            None if word.contains('/') || word.chars().count() > 32 => out.push_str("* "),
            None => {
                let mut is_number = false;
                for character in word.chars() {
                    if !character.is_ascii_digit() {
                        out.push(character);
                    } else if !is_number {
                        out.push('#');
                    }
                    is_number = character.is_ascii_digit();
                }
                out.push(' ');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_call_to_call_is_left_out() {
        let convert = of_command("sh -c convert '/tmp/php3Ab9' -resize 200x200 out/17.jpg");
        assert_eq!(convert, of_command("sh -c convert '/tmp/phpZZ' -resize 640x480 out/9124.jpg"));
        assert_ne!(convert, of_command("sh -c convert '/srv/x' -resize 200x200 out/17.jpg"));
        assert_ne!(of_command("sh -c id"), of_command("sh -c w"));
        assert_eq!(of_command("curl https://a.example/x1"), of_command("curl https://a.example/y?z"));
        assert_ne!(of_command("curl https://a.example/x1"), of_command("curl https://b.example/x1"));
        assert_eq!(of_command("sh -c id;id"), of_command("sh -c 'id' id"));
    }
}
