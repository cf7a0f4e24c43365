//! Numbers in digits.

/// Gives `take` a number in at least `width` decimal digits.
#[inline(always)]
pub(crate) fn decimal(number: u64, width: usize, take: impl FnOnce(&[u8])) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (number, 0_usize);
    for digit in digits.iter_mut().rev() {
        if rest == 0 && used >= width {
            break;
        }
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        used = used.wrapping_add(1);
    }
    take(digits.get(20_usize.wrapping_sub(used)..).unwrap_or_default());
}

/// Gives `take` a number in 16 hexadecimal digits.
pub(crate) fn hexadecimal(number: u64, take: impl FnOnce(&[u8])) {
    let mut digits = [0; 16];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = hex_digit((rest & 15) as u8);
        rest >>= 4;
    }
    take(&digits);
}

/// A hexadecimal digit of a number below 16.
pub(crate) fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'a'.wrapping_add(nibble.wrapping_sub(10)) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::format;

    proptest! {
        #[test]
        fn they_are_as_the_standard_library_has_them(number: u64, width in 1_usize..20) {
            let bare = number >> (number % 64);
            decimal(bare, width, |digits| assert_eq!(digits, format!("{bare:0width$}").as_bytes()));
            hexadecimal(bare, |digits| assert_eq!(digits, format!("{bare:016x}").as_bytes()));
        }
    }
}
