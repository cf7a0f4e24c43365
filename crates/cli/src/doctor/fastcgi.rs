//! One request to PHP-FPM on its own socket, as a web server sends it. Protocol: FastCGI 1.0.

use super::bounded::{Bounded, PATIENCE};
use super::fact;
use super::master::Master;
use crate::status::live;
use portcullis_config::reading;
use std::io::{Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where PHP-FPM listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A local socket.
    Local(PathBuf),
    /// A port.
    Port(SocketAddr),
}

impl std::fmt::Display for Listener {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listener::Local(path) => path.display().fmt(out),
            Listener::Port(address) => address.fmt(out),
        }
    }
}

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = vec![1, kind, 0, 1, length[0], length[1], 0, 0];
    out.extend_from_slice(&content[..content.len().min(usize::from(u16::MAX))]);
    out
}

fn pair(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| match text.len() {
        short @ ..128 => vec![short as u8],
        long => (long as u32 | 1 << 31).to_be_bytes().to_vec(),
    };
    [length(name), length(value), name.as_bytes().to_vec(), value.as_bytes().to_vec()].concat()
}

/// Sends a request with these parameters to a server; gives what came back on standard output and on standard error.
pub fn request(to: &Listener, of: Master, params: &[(&str, &str)]) -> std::io::Result<(String, String)> {
    match to {
        Listener::Local(path) => exchange(Bounded::new(connect(path, of)?), params),
        Listener::Port(address) => exchange(Bounded::new(TcpStream::connect_timeout(address, PATIENCE)?), params),
    }
}

/// Connects to a local socket on which the server listens, or systemd for it: its folder may be the web user's, who can put a socket of
/// their own or a link in its place.
fn connect(path: &Path, of: Master) -> std::io::Result<UnixStream> {
    let (stream, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let stream = rustix::net::socket_with(stream, kind, rustix::net::SocketFlags::CLOEXEC, None)?;
    // Where nobody accepts, connect(2) itself waits.
    rustix::net::sockopt::set_socket_timeout(&stream, rustix::net::sockopt::Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&stream, &rustix::net::SocketAddrUnix::new(path)?)?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    let (pid, user) = (peer.pid.as_raw_nonzero().get(), peer.uid.as_raw());
    let is_servers = u32::try_from(pid).is_ok_and(|pid| pid == of.pid()) && [0, of.user()].contains(&user);
    if is_servers || (pid, user) == (1, 0) {
        return Ok(stream.into());
    }
    Err(Error::other(format!("process {pid} of user {user} listens there, not the unit's main process")))
}

fn exchange(mut stream: impl Read + Write, params: &[(&str, &str)]) -> std::io::Result<(String, String)> {
    let params: Vec<u8> = params.iter().flat_map(|(name, value)| pair(name, value)).collect();
    // The role of a responder; the connection is closed after the answer.
    let begin = record(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0]);
    stream.write_all(&[begin, record(PARAMS, &params), record(PARAMS, &[]), record(STDIN, &[])].concat())?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let mut content = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
        stream.read_exact(&mut content)?;
        stream.read_exact(&mut vec![0; usize::from(head[6])])?;
        match head[1] {
            STDOUT => out.extend(content),
            STDERR => err.extend(content),
            END => break,
            _ => {}
        }
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
}

/// Where a process listens: its descriptors, held against /proc/net.
pub fn listeners(pid: u32) -> Vec<Listener> {
    let entries = reading::entries(&live::path(pid, "fd"), reading::ENTRIES_MAX).into_iter().flatten();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets: Vec<String> =
        links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let table = |name: &str| fact(live::path(pid, &format!("net/{name}"))).unwrap_or_default();
    let mut found = Vec::new();
    for line in table("unix").lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Num RefCount Protocol Flags Type St Inode Path; the flag is that of a listener.
        if let [_, _, _, "00010000", _, _, inode, path] = words.as_slice()
            && sockets.iter().any(|socket| socket == inode)
        {
            found.push(Listener::Local(path.into()));
        }
    }
    // A port of another network is none of this one.
    let network = |path: &Path| std::fs::read_link(path).ok();
    let ports = if network(&live::path(pid, "ns/net")) == network(Path::new("/proc/self/ns/net")) {
        table("tcp")
    } else {
        String::new()
    };
    for line in ports.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // 0A is LISTEN; the address is in the machine's order.
        if let (Some(&local), Some(&"0A"), Some(&inode)) = (words.get(1), words.get(3), words.get(9))
            && sockets.iter().any(|socket| socket == inode)
            && let Some((ip, port)) = local.split_once(':')
            && let (Ok(ip), Ok(port)) = (u32::from_str_radix(ip, 16), u16::from_str_radix(port, 16))
        {
            let ip = std::net::Ipv4Addr::from(ip.to_ne_bytes());
            let ip = if ip.is_unspecified() { std::net::Ipv4Addr::LOCALHOST } else { ip };
            found.push(Listener::Port(SocketAddr::from((ip, port))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listeners_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let _local = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listeners(std::process::id());
        assert!(found.contains(&Listener::Local(path)), "{found:?}");
        assert!(found.contains(&Listener::Port(port.local_addr().unwrap())), "{found:?}");
    }

    #[test]
    fn long_values_have_long_lengths() {
        assert_eq!(pair("a", "b"), [1, 1, b'a', b'b']);
        assert_eq!(pair("a", &"x".repeat(200))[..5], [1, 0x80, 0, 0, 200]);
    }
}
