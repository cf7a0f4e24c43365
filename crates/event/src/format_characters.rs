//! Characters that are not seen but change what is: direction, line ends, joiners, tags.

/// Whether a character is of Unicode's categories Cf, Zl or Zp. Controls (Cc) are not among them.
pub fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use regex_syntax::hir::{Class, HirKind};
    use std::vec::Vec;

    #[test]
    fn the_characters_are_those_of_unicode() {
        let hir = regex_syntax::parse(r"[\p{Cf}\p{Zl}\p{Zp}]").expect("a class");
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{hir:?}") };
        let theirs: Vec<char> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
        let ours: Vec<char> = ('\0'..=char::MAX).filter(|character| is_format(*character)).collect();
        assert_eq!(ours, theirs);
    }
}
