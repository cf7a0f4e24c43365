//! The request in the environment that a server gives to a CGI program.

use crate::memory::base_name;
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use crate::sys::procfs;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_request::{Request, State};

/// This process is a web server's, runs no page's code, and starts the programs of CGI.
static STARTS: AtomicBool = AtomicBool::new(false);

/// Notes what begins to serve on `listener`: lighttpd, or mod_cgid's daemon, which alone of Apache's processes has a local socket. An
/// environment of CGI that such a process makes is the server's. Of any other, the code of a page may have made it: PHP in
/// Apache's worker, an application in uWSGI's.
pub fn serving(listener: i32) {
    let mut buffer = [0; 512];
    let starts = match base_name(sys::readlink(procfs::proc_path(procfs::Whose::Own, b"exe").c_str(), &mut buffer)) {
        b"lighttpd" => true,
        b"apache2" | b"httpd" => sys::own_address(listener) == Ok(None),
        _ => false,
    };
    STARTS.store(starts, Ordering::Relaxed);
}

/// Whether an environment of CGI is the server's.
pub fn is_of_server() -> bool {
    STARTS.load(Ordering::Relaxed)
}

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
