//! The variables of an environment that matter to the guard: its own, and the one that loads it.

/// The variable of [`crate::context`], with its equals sign.
pub const CONTEXT: &[u8] = b"PORTCULLIS_CONTEXT=";
/// The variable of the request, as [`crate::wire`] has it; every descendant gets one.
pub const REQUEST: &[u8] = b"PORTCULLIS_REQUEST=";
/// The variable of the backstop's secret: handed to programs in which the guard will be, and to no others.
pub const KEY: &[u8] = b"PORTCULLIS_KEY=";
/// The variable that makes a process the supervisor of a server: the number of its master.
pub const SUPERVISE: &[u8] = b"PORTCULLIS_SUPERVISE=";
/// The variable that names the configuration's file.
const CONFIG: &[u8] = b"PORTCULLIS_CONFIG=";
/// A variable that says nothing: with it, the guard's own are an even number.
pub const PADDING: &[u8] = b"PORTCULLIS_PADDING=";
/// The guard's own variables, which no program is to find.
pub const OWN: [&[u8]; 5] = [CONTEXT, REQUEST, KEY, SUPERVISE, PADDING];

/// The variable that loads libraries into every program, with its equals sign.
pub const PRELOAD: &[u8] = b"LD_PRELOAD=";

/// The values of the variables; none for one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables<'a> {
    /// Of [`CONTEXT`].
    pub context: Option<&'a [u8]>,
    /// Of [`REQUEST`].
    pub request: Option<&'a [u8]>,
    /// Of [`KEY`].
    pub key: Option<&'a [u8]>,
    /// Of [`SUPERVISE`].
    pub supervise: Option<&'a [u8]>,
    /// Of PORTCULLIS_CONFIG.
    pub config: Option<&'a [u8]>,
}

impl<'a> Variables<'a> {
    /// Whether an entry that begins with `first` can be one of them: most begin otherwise, and are not read any further.
    #[must_use]
    pub const fn may_begin(first: u8) -> bool {
        first == b'P'
    }

    /// Takes note of an entry. The first of a name counts, as for getenv.
    pub fn take(&mut self, entry: &'a [u8]) {
        let own = [
            (CONTEXT, &mut self.context),
            (REQUEST, &mut self.request),
            (KEY, &mut self.key),
            (SUPERVISE, &mut self.supervise),
            (CONFIG, &mut self.config),
        ];
        for (name, value) in own {
            if value.is_none() {
                *value = entry.strip_prefix(name);
            }
        }
    }
}

/// The libraries that an LD_PRELOAD names, in their order: the loader takes colons and spaces between them (ld.so(8)).
pub fn libraries(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b':' || byte == b' ').filter(|library| !library.is_empty())
}

/// Gives `push` the parts of an LD_PRELOAD in which each library that is the guard's own is replaced by `by`, or left out with
/// the separator before it, or else the one behind it. All other bytes stay as they are.
pub fn replace<'v>(value: &'v [u8], is_own: impl Fn(&[u8]) -> bool, by: &[&'v [u8]], mut push: impl FnMut(&'v [u8])) {
    let separates = |byte: &u8| matches!(byte, b':' | b' ');
    let mut rest = value;
    while !rest.is_empty() {
        let begin = rest.iter().position(|byte| !separates(byte)).unwrap_or(rest.len());
        let (before, tail) = rest.split_at_checked(begin).unwrap_or((rest, b""));
        let end = tail.iter().position(separates).unwrap_or(tail.len());
        let (library, behind) = tail.split_at_checked(end).unwrap_or((tail, b""));
        rest = behind;
        if !is_own(library) {
            push(before);
            push(library);
        } else if !by.is_empty() {
            push(before);
            by.iter().for_each(|part| push(part));
        } else if let Some((_, others)) = before.split_last() {
            push(others);
        } else {
            rest = behind.get(1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn only_the_own_library_is_replaced() {
        let replaced = |value: &[u8], by: &[&[u8]]| {
            let by: Vec<&'static [u8]> = by.iter().map(|part| &*part.to_vec().leak()).collect();
            let mut text = Vec::new();
            replace(value.to_vec().leak(), |library| library == b"/g", &by, |part| text.extend(part));
            String::from_utf8(text).unwrap()
        };
        for (value, without, with) in [
            ("", "", ""),
            ("/g", "", "/h/g"),
            ("/g:/a", "/a", "/h/g:/a"),
            ("/a /g", "/a", "/a /h/g"),
            ("/a:/g:/b  /c:", "/a:/b  /c:", "/a:/h/g:/b  /c:"),
            ("/g:/g /g", "", "/h/g:/h/g /h/g"),
            (" /a::/gg", " /a::/gg", " /a::/gg"),
        ] {
            assert_eq!(replaced(value.as_bytes(), &[]), without, "{value}");
            assert_eq!(replaced(value.as_bytes(), &[b"/h", b"/g"]), with, "{value}");
        }
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let mut variables = Variables::default();
        for entry in [&b"PATH=/bin"[..], b"PORTCULLIS_KEY=7", b"PORTCULLIS_KEY=8", b"PORTCULLIS_KEYS=9"] {
            variables.take(entry);
        }
        assert_eq!(variables.key, Some(&b"7"[..]));
        assert_eq!(variables.context, None);
    }

    #[test]
    fn every_name_begins_with_a_letter_that_may_begin_one() {
        for name in OWN.into_iter().chain([CONFIG]) {
            assert!(Variables::may_begin(name[0]));
        }
    }

    #[test]
    fn libraries_stand_between_colons_and_spaces() {
        assert!(libraries(b": /a.so:b.so  c.so:").eq([&b"/a.so"[..], b"b.so", b"c.so"]));
        assert_eq!(libraries(b"").count(), 0);
    }
}
