//! The request in the environment that a server gives to a CGI program.

use crate::environment::Vector;
use crate::memory::Reader;
use portcullis_request::{Request, State};

/// The request that `envp` carries; `None` where it is no CGI environment (RFC 3875 asks for GATEWAY_INTERFACE).
pub fn request(envp: Vector) -> Option<Request> {
    let (entries, strings) = (Reader::default(), Reader::default());
    let mut request = Request::none();
    let mut is_cgi = false;
    if envp.is_null() {
        return None;
    }
    for index in 0.. {
        let entry = entries.pointer(envp, index)?;
        if entry.is_null() {
            break;
        }
        let text = strings.string(entry, 2048)?;
        let mut parts = text.splitn(2, |&byte| byte == b'=');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if name == b"GATEWAY_INTERFACE" {
            is_cgi = value.starts_with(b"CGI/");
        } else {
            request.take(name, value);
        }
    }
    if !is_cgi {
        return None;
    }
    request.state = State::Known;
    Some(request)
}
