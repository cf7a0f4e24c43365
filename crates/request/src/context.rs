//! What a program inherits over exec, in one environment variable that the exec hook writes and the constructor reads.
//!
//! `PORTCULLIS_CONTEXT=1;ROLE;INJECTED;REPORTED;TRIED;DEVICE:INODE;DEVICE:INODE;POLICY;CHAIN`: the version; `m`, `s` or `d`; whether
//! LD_PRELOAD was put in by the guard; the reason last reported; the state of the sources for which compiling was tried;
//! standard error of the tree's first process; the file that was judged; the path of the compiled policy; the programs that led here.

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The server before it serves, and what it starts by itself.
    Master = 1,
    /// It accepted a client connection, or was forked from one that did.
    Serving = 2,
    /// A program started, directly or not, by a serving process.
    Descendant = 3,
}

/// The variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited<'a> {
    /// Role of the new program.
    pub role: Role,
    /// LD_PRELOAD is there only because the guard put it in.
    pub injected: bool,
    /// The reason last reported.
    pub reported: u8,
    /// State of the sources for which compiling was tried.
    pub tried: u64,
    /// Identity of standard error: its device and inode.
    pub stderr: (u64, u64),
    /// Device and inode of the file that was judged, which the process must have as its program; zeros where it need not.
    pub image: (u64, u64),
    /// Path of the compiled policy; empty for the default place. A semicolon in it would end it.
    pub policy: &'a [u8],
    /// The chain, the new program included.
    pub chain: &'a [u8],
}

/// Reads the variable's value; `None` where it is of another version, or has too few fields.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Inherited<'_>> {
    let mut fields = value.splitn(9, |&byte| byte == b';');
    if fields.next()? != b"1" {
        return None;
    }
    let role = match fields.next()? {
        b"m" => Role::Master,
        b"s" => Role::Serving,
        _ => Role::Descendant,
    };
    let injected = fields.next()? == b"1";
    let reported = number(fields.next()?) as u8;
    let tried = number(fields.next()?);
    let stderr = identity(fields.next()?)?;
    let image = identity(fields.next()?)?;
    Some(Inherited { role, injected, reported, tried, stderr, image, policy: fields.next()?, chain: fields.next()? })
}

/// A device and an inode.
fn identity(field: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = field.splitn(2, |&byte| byte == b':');
    Some((number(numbers.next()?), number(numbers.next()?)))
}

/// Writes the variable's value by `push`.
pub fn write(inherited: &Inherited<'_>, mut push: impl FnMut(&[u8])) {
    let Inherited { role, injected, reported, tried, stderr, image, policy, chain } = *inherited;
    push(match role {
        Role::Master => b"1;m;",
        Role::Serving => b"1;s;",
        Role::Descendant => b"1;d;",
    });
    push(if injected { b"1;" } else { b"0;" });
    let values = [u64::from(reported), tried, stderr.0, stderr.1, image.0, image.1];
    for (value, end) in values.into_iter().zip([b";", b";", b":", b";", b":", b";"]) {
        decimal(value, &mut push);
        push(end);
    }
    push(policy);
    push(b";");
    push(chain);
}

/// Writes a number in decimal digits.
pub fn decimal(number: u64, mut push: impl FnMut(&[u8])) {
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut used = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        used = used.wrapping_add(1);
        if rest == 0 {
            break;
        }
    }
    push(digits.get(20_usize.wrapping_sub(used)..).unwrap_or_default());
}

/// A number in decimal digits. What is not one gives some number: the variable is the guard's own, and one that somebody
/// made up is taken at its word in what does not matter.
#[must_use]
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0_u64, |sum, &digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_context_is_refused() {
        assert_eq!(parse(b"2;m"), None);
        assert_eq!(parse(b"1;d;0;0;5;7;/p;sh;x"), None, "no inode");
        assert_eq!(parse(b"1;d;0;0;5;7:9;3:4;/p;a;b").unwrap().chain, b"a;b");
    }
}
