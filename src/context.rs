//! What a program inherits over exec, in one environment variable that the exec hook writes and the constructor reads.
//!
//! `PORTCULLIS_CONTEXT=1;ROLE;INJECTED;REPORTED;TRIED;DEVICE:INODE;POLICY;CHAIN`: the version; `m`, `s` or `d`; whether
//! LD_PRELOAD was put in by the guard; the reason last reported; the state of the sources for which compiling was tried;
//! standard error of the tree's first process; the path of the compiled policy; the programs that led here.

use crate::memory::Text;
use crate::request::Served;
use crate::state::{self, Role};

/// The variable's name with its equals sign.
pub const VARIABLE: &[u8] = b"PORTCULLIS_CONTEXT=";
/// The variable of the request, as portcullis-request's wire module has it; every descendant gets one.
pub const REQUEST: &[u8] = b"PORTCULLIS_REQUEST=";
/// The variable of the backstop's secret: handed to programs in which the guard will be, and to no others.
pub const KEY: &[u8] = b"PORTCULLIS_KEY=";
/// The variable that makes a process the supervisor of a server: the number of its master.
pub const SUPERVISE: &[u8] = b"PORTCULLIS_SUPERVISE=";
/// Between the programs of a chain.
const ARROW: &[u8] = b" > ";
/// The length of a chain, in bytes; a longer one keeps its beginning and its last program.
const CHAIN_MAX: usize = 200;

/// The variable as it was inherited.
#[derive(Debug, PartialEq, Eq)]
pub struct Inherited<'a> {
    /// Role of the new program.
    pub role: Role,
    /// LD_PRELOAD is there only because the guard put it in.
    pub injected: bool,
    /// The reason last reported.
    pub reported: u8,
    /// State of the sources for which compiling was tried.
    pub tried: u64,
    /// Identity of standard error.
    pub stderr: (u64, u64),
    /// Path of the compiled policy; empty for the default place.
    pub policy: &'a [u8],
    /// The chain, the new program included.
    pub chain: &'a [u8],
}

/// Reads the variable's value.
pub fn parse(value: &[u8]) -> Option<Inherited<'_>> {
    let mut fields = value.splitn(8, |&byte| byte == b';');
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
    let mut identity = fields.next()?.splitn(2, |&byte| byte == b':');
    let stderr = (number(identity.next()?), number(identity.next()?));
    Some(Inherited { role, injected, reported, tried, stderr, policy: fields.next()?, chain: fields.next()? })
}

/// A number in decimal digits.
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0_u64, |sum, &digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// The chain of a program named `name` that this process starts. One begins where a server does: what started that,
/// and the binary that a reload replaced, are not in it.
pub fn chain_of(name: &[u8], served: &Served) -> Text<256> {
    let own = own_chain(served);
    chain_from(if state::role() == Role::Master { b"" } else { own.bytes() }, name)
}

/// The chain of a program named `name` that a process with the chain `mine` starts.
pub fn chain_from(mine: &[u8], name: &[u8]) -> Text<256> {
    let mut chain = Text::new();
    let room = CHAIN_MAX.saturating_sub(name.len().min(64));
    if mine.len() > room {
        chain.push(mine.get(..room).unwrap_or_default());
        chain.push("\u{2026}".as_bytes());
    } else {
        chain.push(mine);
    }
    if !mine.is_empty() {
        chain.push(ARROW);
    }
    chain.push(name.get(..name.len().min(64)).unwrap_or_default());
    chain
}

/// The chain up to this process; PHP-FPM's worker goes by its title, which names the pool.
pub fn own_chain(served: &Served) -> Text<256> {
    let mut chain = Text::new();
    let pool = served.request.pool.bytes();
    if state::role() == Role::Serving && !pool.is_empty() {
        chain.push(b"php-fpm: pool ");
        chain.push(pool);
    } else {
        chain.push(state::settled().chain.bytes());
    }
    chain
}

/// The variable of the request for a program that this process starts.
pub fn compose_request<const N: usize>(text: &mut Text<N>, served: &Served) {
    text.push(REQUEST);
    portcullis_request::wire::write(&served.request, served.id(), |bytes| text.push(bytes));
}

/// The variable for a program named `name` that this process starts.
pub fn compose(text: &mut Text<1024>, name: &[u8], injected: bool, served: &Served) {
    let settled = state::settled();
    text.push(VARIABLE);
    text.push(b"1;");
    text.push(if state::role() == Role::Master { b"m" } else { b"d" });
    text.push(if injected { b";1;" } else { b";0;" });
    text.number(u64::from(state::reported()));
    text.push(b";");
    text.number(crate::load::tried());
    text.push(b";");
    text.number(settled.stderr.0);
    text.push(b":");
    text.number(settled.stderr.1);
    text.push(b";");
    text.push(settled.policy_path.bytes());
    text.push(b";");
    text.push(chain_of(name, served).bytes());
}

/// The variable for the supervisor.
pub fn compose_supervisor() -> Text<1024> {
    let settled = state::settled();
    let mut text = Text::new();
    text.push(VARIABLE);
    text.push(b"1;m;1;0;0;");
    text.number(settled.stderr.0);
    text.push(b":");
    text.number(settled.stderr.1);
    text.push(b";");
    text.push(settled.policy_path.bytes());
    text.push(b";supervisor");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_is_parsed() {
        let mut text = Text::new();
        compose(&mut text, b"sh", true, &Served::none());
        let inherited = parse(text.bytes().strip_prefix(VARIABLE).unwrap()).unwrap();
        assert_eq!(inherited.role, Role::Master);
        assert!(inherited.injected);
        assert_eq!(inherited.chain, b"sh");
        assert_eq!(parse(b"2;m"), None);
        assert_eq!(parse(b"1;d;0;0;5;7:9;/p;a;b").unwrap().chain, b"a;b");
    }
}
