//! A value of an event as a part of a sentence, of a list or of a row.
//!
//! **Trust**: an attacker chooses names of sites and scripts, client addresses behind a proxy, and names of programs. What stands before a
//! value and behind it is this program's word: a value is never taken for that. So it is plain where it is a name, and otherwise in quotes,
//! in which quotes and backslashes have a backslash. Only a value with nothing behind it on its line may stand as it is.

use crate::CUT;
use std::borrow::Cow;

/// How a worker of PHP-FPM is called by itself; the name of its pool follows.
const POOL: &str = "php-fpm: pool ";
/// What is between two programs of a chain.
const STARTS: &str = " > ";

/// What no sentence has between its parts.
fn is_of_name(one: char) -> bool {
    one.is_alphanumeric() || "._-/:@+%~=[]?&#*".contains(one)
}

/// Whether a value is one of those that say nothing, or would be taken for one, or for the end of a part.
fn is_name(value: &str) -> bool {
    value.chars().all(is_of_name) && !matches!(value, "" | "-") && !value.ends_with(':')
}

/// A value as a part of a sentence: without its middle where it has more than so many characters.
#[must_use]
pub fn delimited(value: &str, max: usize) -> Cow<'_, str> {
    let count = value.chars().count();
    let is_name = is_name(value);
    if count <= max && is_name {
        return value.into();
    }
    let mut out = String::with_capacity(value.len().min(max.saturating_mul(4)) + 2);
    let begin = max.saturating_sub(1) / 2;
    let end = count - max.saturating_sub(1).saturating_sub(begin).min(count);
    for (at, one) in value.chars().enumerate() {
        match at {
            _ if count > max && (begin..end).contains(&at) => {
                if at == begin {
                    out.push(CUT);
                }
            }
            _ if !is_name && matches!(one, '"' | '\\') => out.extend(['\\', one]),
            _ => out.push(one),
        }
    }
    if is_name { out.into() } else { format!("\"{out}\"").into() }
}

/// The programs that led to a call, each as a part of a sentence.
#[must_use]
pub fn chain(value: &str, max: usize) -> Cow<'_, str> {
    let is_program = |name: &str| is_name(name.strip_prefix(POOL).unwrap_or(name));
    if value.split(STARTS).all(is_program) {
        return value.into();
    }
    let part = |name| if is_program(name) { Cow::Borrowed(name) } else { delimited(name, max) };
    value.split(STARTS).map(part).collect::<Vec<_>>().join(STARTS).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_the_sentence_around_it() {
        for name in ["shop.example", "/srv/www/up.php", "2001:db8::1", "/x?a=b&c=[1]", "b\u{fc}cher.example"] {
            assert_eq!(delimited(name, 80), name);
        }
        for (value, wanted) in [
            ("a.example, shop4", "\"a.example, shop4\""),
            ("x.php by 10.0.0.1", "\"x.php by 10.0.0.1\""),
            ("x.php\", by \"1", "\"x.php\\\", by \\\"1\""),
            ("a\\", "\"a\\\\\""),
            ("a\n", "\"a\n\""),
            ("(a)", "\"(a)\""),
            ("x:", "\"x:\""),
            ("-", "\"-\""),
            ("", "\"\""),
            ("a\u{2026}", "\"a\u{2026}\""),
        ] {
            assert_eq!(delimited(value, 80), wanted);
        }
    }

    #[test]
    fn a_long_value_has_both_its_ends_and_no_more_than_its_characters() {
        let long = format!("{}END", "s".repeat(5000));
        for max in [8, 9, 80] {
            let shown = delimited(&long, max);
            assert!(
                shown.starts_with("sss") && shown.ends_with("END") && shown.chars().count() == max,
                "{max}: {shown}"
            );
        }
        assert_eq!(delimited("one two three", 8), "\"one\u{2026}hree\"");
        assert_eq!(delimited("abc", 0), "\u{2026}");
    }

    #[test]
    fn a_program_is_none_that_led_to_another() {
        for ordinary in ["php > sh", "php-fpm: pool www > sh > bash", "nginx", "php-fpm8.2"] {
            assert_eq!(chain(ordinary, 80), ordinary);
        }
        assert_eq!(chain("php > x: sh -c id", 80), "php > \"x: sh -c id\"");
        assert_eq!(chain("php-fpm: pool www: x", 80), "\"php-fpm: pool www: x\"");
        assert_eq!(chain("", 80), "\"\"");
    }
}
