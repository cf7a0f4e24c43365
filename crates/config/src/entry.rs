//! The small languages inside strings: destinations, port ranges, commands.

use crate::syntax;
use ipnet::IpNet;
use portcullis_policy::command::{TOKEN_MAX, Tokens};
use std::borrow::Cow;
use std::net::IpAddr;

/// An error in an entry, and what to write instead.
#[derive(Debug)]
pub struct EntryError {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub help: String,
}

impl EntryError {
    /// Both at once, as a result.
    pub fn because<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, EntryError> {
        Err(EntryError { message: message.into(), help: help.into() })
    }
}

/// A destination of `allow` or `deny`.
#[derive(Debug, PartialEq)]
pub enum DestinationEntry {
    /// An address or a network.
    Net(IpNet),
    /// A name, or `*.` and a name.
    Name(String),
}

/// What is written for a port.
const PORTS: &str =
    "write a port, a range such as `8000-8010`, or `*` for every port of a destination; ports go from 0 to 65535";

/// Parses `HOST:PORTS`; `HOST` is an address, a network or a name, v6 in brackets; `PORTS` is `*`, `N` or `N-M`.
pub fn destination(text: &str) -> Result<(DestinationEntry, (u16, u16)), EntryError> {
    let brackets = "write `[ADDRESS]:PORT`, for example `[2001:db8::1]:443`";
    let no_port = || EntryError {
        message: "a port is missing".into(),
        help: format!("write for example `{text}:443`, or `{text}:*` for every port"),
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let port = if scheme == "http" { 80 } else { 443 };
        let has_port = host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
        let written = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        return EntryError::because(format!("`{text}` is a URL"), format!("write host and port: `{written}`"));
    }
    let (host, ports) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((host, rest)) = rest.split_once(']') else {
                return EntryError::because("the bracket of the v6 address is not closed", brackets);
            };
            (host, rest.strip_prefix(':').ok_or_else(no_port)?)
        }
        None => text.rsplit_once(':').ok_or_else(no_port)?,
    };
    if host.contains(':') && !text.starts_with('[') {
        return EntryError::because("a v6 address stands in brackets", brackets);
    }
    let target = match network(host) {
        Ok(net) => DestinationEntry::Net(net),
        Err(why) if host.contains([':', '/']) || text.starts_with('[') => return Err(why),
        Err(_) => name(host)?,
    };
    Ok((target, self::ports(ports)?))
}

fn name(host: &str) -> Result<DestinationEntry, EntryError> {
    let labels = host.strip_prefix("*.").unwrap_or(host);
    let fine = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if labels.split('.').all(fine) && !labels.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Ok(DestinationEntry::Name(host.to_ascii_lowercase()));
    }
    EntryError::because(
        format!("`{host}` is neither an address, a network nor a host name"),
        "write for example `192.88.1.7:443`, `192.88.1.0/24:443`, `api.example.com:443` or `*.example.com:443`",
    )
}

/// Parses a port, a range of ports, or `*`.
pub fn ports(text: &str) -> Result<(u16, u16), EntryError> {
    if text == "*" {
        return Ok((0, u16::MAX));
    }
    let one = |text: &str| text.parse::<u16>().map_err(|_| no_port(text));
    match text.split_once('-') {
        Some((low, high)) => {
            let (low, high) = (one(low)?, one(high)?);
            if low > high {
                let message = format!("the range {low}-{high} is empty: the lower port comes first");
                return EntryError::because(message, format!("write `{high}-{low}`"));
            }
            Ok((low, high))
        }
        None => one(text).map(|port| (port, port)),
    }
}

/// What is wrong with a port that is none.
pub fn no_port(text: &str) -> EntryError {
    EntryError { message: format!("`{text}` is not a port: ports go from 0 to 65535"), help: PORTS.into() }
}

/// Parses an address or a network; v4-mapped v6 becomes v4.
pub fn network(text: &str) -> Result<IpNet, EntryError> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => {
                let address = text.split_once('/').and_then(|(address, _)| address.parse().ok());
                let help = match address {
                    Some(IpAddr::V4(v4)) => format!("an IPv4 prefix is 0 to 32, for example `{v4}/24`"),
                    Some(IpAddr::V6(v6)) => format!("an IPv6 prefix is 0 to 128, for example `{v6}/64`"),
                    None => "write an address or a network, for example `10.0.0.2`, `10.0.0.0/8` or `fd00::/8`".into(),
                };
                return EntryError::because(format!("`{text}` is not an address or a network in CIDR notation"), help);
            }
        },
    };
    if net.trunc() != net {
        let network = net.trunc();
        let message = format!("`{text}` has bits set behind its prefix; the network is {network}");
        return EntryError::because(message, format!("write `{network}`"));
    }
    if let IpNet::V6(v6) = net
        && v6.prefix_len() >= 96
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96)
    {
        return Ok(IpNet::V4(v4));
    }
    Ok(net)
}

/// Parses an allowed command into its tokens. Quotes group, as in a shell; `*` and `?` are globs.
///
/// # Errors
///
/// The text is no simple command.
pub fn command(text: &str) -> Result<Vec<String>, EntryError> {
    if text.chars().any(char::is_control) {
        return EntryError::because("a command has no control characters", "write words with a blank between them");
    }
    // A glob would make a shell's command complex; here it is a pattern, so it is hidden from the tokeniser.
    let is_hidden = text.contains(['*', '?', '\u{E000}', '\u{E001}']);
    let hidden = match is_hidden {
        true => Cow::Owned(text.replace('*', "\u{E000}").replace('?', "\u{E001}")),
        false => Cow::Borrowed(text),
    };
    let mut tokens = Tokens::new(hidden.as_bytes());
    let mut buffer = [0; TOKEN_MAX];
    let mut out = Vec::new();
    while let Some(token) = tokens.next(&mut buffer) {
        let Ok(token) = token else {
            let message = format!("`{text}` is not a simple command: it has {}", syntax::found(&hidden));
            return EntryError::because(
                message,
                "write words only, one command per entry; for anything more, allow the path of a script",
            );
        };
        let token = String::from_utf8_lossy(token);
        out.push(match is_hidden {
            true => token.replace('\u{E000}', "*").replace('\u{E001}', "?"),
            false => token.into_owned(),
        });
    }
    match out.is_empty() {
        true => EntryError::because("the command is empty", "remove it, or write a program's path and its arguments"),
        false => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        assert_eq!(destination("192.88.1.0/24:*").unwrap().1, (0, 65535));
        assert_eq!(destination("[2001:db8::1]:6379").unwrap().1, (6379, 6379));
        assert_eq!(destination("*.stripe.com:443").unwrap().0, DestinationEntry::Name("*.stripe.com".into()));
        assert_eq!(
            destination("[::ffff:10.1.2.3]:1").unwrap().0,
            DestinationEntry::Net("10.1.2.3/32".parse().unwrap())
        );
        for bad in [
            "10.0.0.1",
            "10.0.0.1:70000",
            "10.0.0.1/33:1",
            "10.1.2.3/8:1",
            "2001:db8::1:80",
            "[::1:80",
            "a b:1",
            "300.1.1.1:80",
            "h:9-8",
        ] {
            assert!(destination(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commands() {
        assert_eq!(command("/usr/bin/convert * *").unwrap(), ["/usr/bin/convert", "*", "*"]);
        assert_eq!(command("/bin/a 'b c'").unwrap(), ["/bin/a", "b c"]);
        assert!(command("a | b").is_err());
        assert!(command("").is_err());
    }
}
