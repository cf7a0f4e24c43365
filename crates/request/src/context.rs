//! What a program inherits over exec, in one environment variable that the exec hook writes and the constructor reads.
//!
//! `PORTCULLIS_CONTEXT=4;ROLE;TREE;HANDED;IMAGE;INJECTED;REPORTED;TRIED;DEVICE:INODE;POLICY;CHAIN`: the version; `m`, `s` or `d`,
//! for which `e` and `f` stand where [`Finds`] is more than nothing (an older library takes them for `d`); what the tree of processes is judged by; the descriptors that are handed down; device and inode of the program that was judged; whether LD_PRELOAD was put in by the guard; the reason last reported; the state of the
//! sources for which compiling was tried; standard error of the tree's first process; the path of the compiled policy; the
//! programs that led here. In every later version the first three fields stay where they are.
//!
//! TREE is `MODES:SINKS:DEVICE:INODE:CHANGED:DIGEST:LINK:MOUNT:DEVICE:INODE:NETWORK:POOLS:LOG`, of which [`Tree`] says more. Version 3 has one entry fewer in HANDED. Version 2 has no HANDED: it is written where
//! nothing is handed down. Version 1 has neither TREE nor IMAGE: it is what a unit or the command writes, for the first process of a tree.

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

/// What a program only finds, for a script whose first line names it: env(1). It executes that in its own place, and the script was
/// judged as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Finds {
    /// It is a program like any other.
    #[default]
    Nothing = 0,
    /// An interpreter.
    Interpreter = 1,
    /// An interpreter, and the script was judged as a shell already.
    Shell = 2,
}

/// Numbers that tell where a server is.
pub const HOME: usize = 4;

/// Descriptors that a program may be handed: of the policy, of journald's socket, of syslog's, of the log, of a container's standard
/// error.
pub const HANDED: usize = 5;
/// The same of version 3, without the last.
const HANDED_BEFORE: usize = 4;
/// Of each, its number and one (0 for none), and two numbers that tell its file from others.
pub type Handed = [[u64; 3]; HANDED];

/// What a tree of processes is judged by. It tells the tree's own policy from what a process puts in its place, in namespaces
/// of its own, and says how strict it was where that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree<'a> {
    /// For each rule, the digit of its strictest mode anywhere in the policy.
    pub modes: &'a [u8],
    /// The policy's sinks.
    pub sinks: u32,
    /// Device, inode and time of the last change of the policy's file, which no mount and no namespace gives to another one;
    /// zeros where the built-in policy was in force.
    pub file: [u64; 3],
    /// The policy's digest.
    pub digest: u64,
    /// Where the server looks names up: its root folder's mount, device and inode, and its network; zeros where that is not known.
    pub home: [u64; HOME],
    /// The number of PHP-FPM's master, then the ports on which it listens, with commas; empty for another server.
    pub pools: &'a [u8],
    /// The path of the file sink; may be empty.
    pub log: &'a [u8],
}

impl<'a> Tree<'a> {
    fn parse(field: &'a [u8]) -> Option<Tree<'a>> {
        let mut fields = field.splitn(12, |&byte| byte == b':');
        let modes = fields.next()?;
        let sinks = number(fields.next()?) as u32;
        let file = [number(fields.next()?), number(fields.next()?), number(fields.next()?)];
        Some(Tree {
            modes,
            sinks,
            file,
            digest: number(fields.next()?),
            home: [number(fields.next()?), number(fields.next()?), number(fields.next()?), number(fields.next()?)],
            pools: fields.next()?,
            log: fields.next()?,
        })
    }

    fn write(&self, mut push: impl FnMut(&[u8])) {
        push(self.modes);
        let [device, inode, changed] = self.file;
        for value in [u64::from(self.sinks), device, inode, changed, self.digest] {
            push(b":");
            decimal(value, &mut push);
        }
        for value in self.home {
            push(b":");
            decimal(value, &mut push);
        }
        push(b":");
        push(self.pools);
        push(b":");
        push(self.log);
    }
}

/// The variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited<'a> {
    /// Role of the new program.
    pub role: Role,
    /// What a descendant only finds.
    pub finds: Finds,
    /// What its tree is judged by; `None` at the beginning of one.
    pub tree: Option<Tree<'a>>,
    /// The descriptors that are handed down.
    pub handed: Handed,
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

impl<'a> Inherited<'a> {
    /// What a descendant is left with whose variable is gone, damaged (`value`) or of another version: its tree, where that can
    /// still be read.
    #[must_use]
    pub fn lost(value: &'a [u8]) -> Inherited<'a> {
        let tree = value.splitn(4, |&byte| byte == b';').nth(2).and_then(Tree::parse);
        let (none, policy, chain) = ((0, 0), &b""[..], &b""[..]);
        let (stderr, image) = (none, none);
        let handed = [[0; 3]; HANDED];
        Inherited {
            role: Role::Descendant,
            finds: Finds::Nothing,
            tree,
            handed,
            injected: false,
            reported: 0,
            tried: 0,
            stderr,
            image,
            policy,
            chain,
        }
    }
}

/// Reads the variable's value; `None` where it is of another version, or has too few fields.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Inherited<'_>> {
    let (version, rest) = value.split_first_chunk::<2>()?;
    let (has_tree, kinds) = match version {
        b"1;" => (false, 0),
        b"2;" => (true, 0),
        b"3;" => (true, HANDED_BEFORE),
        b"4;" => (true, HANDED),
        _ => return None,
    };
    let has_handed = kinds != 0;
    let count = 7_usize.wrapping_add(usize::from(has_tree) * 2).wrapping_add(usize::from(has_handed));
    let mut fields = rest.splitn(count, |&byte| byte == b';');
    let (role, finds) = match fields.next()? {
        b"m" => (Role::Master, Finds::Nothing),
        b"s" => (Role::Serving, Finds::Nothing),
        b"e" => (Role::Descendant, Finds::Interpreter),
        b"f" => (Role::Descendant, Finds::Shell),
        _ => (Role::Descendant, Finds::Nothing),
    };
    let tree = if has_tree { Some(Tree::parse(fields.next()?)?) } else { None };
    let mut handed = [[0; 3]; HANDED];
    if has_handed {
        let mut numbers = fields.next()?.splitn(kinds.wrapping_mul(3), |&byte| byte == b':');
        for place in handed.iter_mut().take(kinds).flatten() {
            *place = number(numbers.next()?);
        }
    }
    let image = if has_tree { identity(fields.next()?)? } else { (0, 0) };
    let injected = fields.next()? == b"1";
    let reported = number(fields.next()?) as u8;
    let tried = number(fields.next()?);
    let stderr = identity(fields.next()?)?;
    let (policy, chain) = (fields.next()?, fields.next()?);
    Some(Inherited { role, finds, tree, handed, injected, reported, tried, stderr, image, policy, chain })
}

/// A device and an inode.
fn identity(field: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = field.splitn(2, |&byte| byte == b':');
    Some((number(numbers.next()?), number(numbers.next()?)))
}

/// Writes the variable's value by `push`.
pub fn write(inherited: &Inherited<'_>, mut push: impl FnMut(&[u8])) {
    let Inherited { role, finds, tree, handed, injected, reported, tried, stderr, image, policy, chain } = *inherited;
    let hands = handed != [[0; 3]; HANDED];
    push(match tree {
        None => b"1;",
        Some(_) if hands => b"4;",
        Some(_) => b"2;",
    });
    push(match (role, finds) {
        (Role::Master, _) => b"m;",
        (Role::Serving, _) => b"s;",
        (Role::Descendant, Finds::Nothing) => b"d;",
        (Role::Descendant, Finds::Interpreter) => b"e;",
        (Role::Descendant, Finds::Shell) => b"f;",
    });
    if let Some(tree) = tree {
        tree.write(&mut push);
        push(b";");
        if hands {
            let mut before = &b""[..];
            for value in handed.as_flattened() {
                push(before);
                decimal(*value, &mut push);
                before = b":";
            }
            push(b";");
        }
        for (value, end) in [(image.0, b":"), (image.1, b";")] {
            decimal(value, &mut push);
            push(end);
        }
    }
    push(if injected { b"1;" } else { b"0;" });
    for (value, end) in [(u64::from(reported), b";"), (tried, b";"), (stderr.0, b":"), (stderr.1, b";")] {
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
        assert_eq!(parse(b"4;m;0;0;5;7:9;/p;a"), None);
        assert_eq!(parse(b"2;d;22;0;0;5;7:9;/p;a"), None, "no tree");
        assert_eq!(parse(b"1;d;0;0;5;7;/p;sh"), None, "no inode");
        assert_eq!(parse(b"1;d;0;0;5;7:9;/p;a;b").unwrap().chain, b"a;b");
    }

    #[test]
    fn of_another_version_the_tree_is_left() {
        let lost = Inherited::lost(b"9;s;22:9:1:2:3:4:6:7:8:9:7,9000:/log:x;anything");
        let tree = lost.tree.unwrap();
        assert_eq!((lost.role, tree.modes, tree.sinks, tree.file), (Role::Descendant, &b"22"[..], 9, [1, 2, 3]));
        assert_eq!((tree.digest, tree.home), (4, [6, 7, 8, 9]));
        assert_eq!((tree.pools, tree.log), (&b"7,9000"[..], &b"/log:x"[..]));
        for value in [&b""[..], b"9", b"9;d;", b"9;d;22:1;x", b"\xff;;;;"] {
            assert_eq!(Inherited::lost(value).tree, None);
        }
    }
}
