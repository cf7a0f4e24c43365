//! Paths as servers send them, made comparable.

use crate::Field;

/// The path in a SCRIPT_FILENAME that Apache's proxy made (`proxy:fcgi://host:port/path?query`), as PHP-FPM takes it out
/// (sapi/fpm/fpm/fpm_main.c); any other value is the path.
#[must_use]
pub fn unproxied(value: &[u8]) -> &[u8] {
    // PHP-FPM compares without case.
    let Some((prefix, rest)) = value.split_at_checked(6) else { return value };
    if !prefix.eq_ignore_ascii_case(b"proxy:") {
        return value;
    }
    let Some(scheme) = rest.windows(3).position(|bytes| bytes == b"://") else { return value };
    let host = rest.get(scheme.wrapping_add(3)..).unwrap_or_default();
    let path = host.iter().position(|&byte| byte == b'/').and_then(|slash| host.get(slash..)).unwrap_or_default();
    path.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// An absolute path without empty components, `.` and `..`, in `room` where it is not so already; nothing for a relative one
/// or one that does not fit. Symbolic links are not looked at.
#[must_use]
pub fn normalise<'a, const N: usize>(path: &'a [u8], room: &'a mut Option<Field<N>>) -> &'a [u8] {
    // Most are: a component that begins with a dot is seldom, and is looked at below.
    let odd = |two: &[u8]| matches!(two, [b'/', b'/' | b'.']);
    if matches!(path, [b'/', .., last] if *last != b'/') && path.len() <= N && !path.windows(2).any(odd) {
        return path;
    }
    room.insert(rebuilt(path)).whole()
}

fn rebuilt<const N: usize>(path: &[u8]) -> Field<N> {
    let mut out = Field::new();
    if path.first() != Some(&b'/') {
        return out;
    }
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let parent = out.bytes().iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                let mut shorter = Field::new();
                shorter.set(out.bytes().get(..parent).unwrap_or_default());
                out = shorter;
            }
            name => {
                out.add(b"/");
                out.add(name);
            }
        }
    }
    if out.bytes().is_empty() {
        out.set(b"/");
    }
    if out.whole().is_empty() {
        out.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apaches_proxy_is_taken_off() {
        for (value, path) in [
            (&b"/srv/a.php"[..], &b"/srv/a.php"[..]),
            (b"proxy:fcgi://127.0.0.1:9000/srv/a.php", b"/srv/a.php"),
            (b"proxy:fcgi://localhost/srv/a.php?x=/etc", b"/srv/a.php"),
            (b"proxy:balancer://php/srv/a.php", b"/srv/a.php"),
            (b"proxy:fcgi://localhost", b""),
            (b"proxy:x", b"proxy:x"),
            (b"Proxy:FCGI://localhost/srv/a.php", b"/srv/a.php"),
        ] {
            assert_eq!(unproxied(value), path);
        }
    }

    #[test]
    fn paths_are_made_comparable() {
        for (path, normal) in [
            ("/srv//shop/./a.php", "/srv/shop/a.php"),
            ("/srv/shop/../blog/a.php", "/srv/blog/a.php"),
            ("/../..", "/"),
            ("/", "/"),
            ("srv/a.php", ""),
            ("", ""),
            ("/a/b/..", "/a"),
            ("/srv/shop/", "/srv/shop"),
            ("/srv/.hidden/a.php", "/srv/.hidden/a.php"),
            ("/a", "/a"),
        ] {
            assert_eq!(normalise(path.as_bytes(), &mut None::<Field<64>>), normal.as_bytes(), "{path}");
        }
        assert_eq!(normalise(b"/long/path", &mut None::<Field<4>>), b"");
        assert_eq!(normalise(b"/long/../path", &mut None::<Field<4>>), b"");
    }
}
