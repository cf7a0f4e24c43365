//! The parameters of a request that matter: what CGI (RFC 3875) and PHP-FPM call them.

/// One of them, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    ServerName,
    DocumentRoot,
    Script,
    Method,
    Uri,
    Client,
    /// The name and version of the server, which tells whose the server's name is.
    Software,
    /// How long the body is.
    ContentLength,
    /// PHP's settings for this request.
    Settings,
    Other,
}

impl Param {
    /// The parameter of this name.
    #[inline(always)]
    pub(crate) fn of(name: &[u8]) -> Param {
        // Most are headers of the client's, HTTP_ and more, none of which matters.
        if !matches!(name, [b'S' | b'D' | b'R' | b'P' | b'C', ..]) {
            return Param::Other;
        }
        match name {
            b"SERVER_NAME" => Param::ServerName,
            b"DOCUMENT_ROOT" => Param::DocumentRoot,
            b"SCRIPT_FILENAME" => Param::Script,
            b"REQUEST_METHOD" => Param::Method,
            b"REQUEST_URI" => Param::Uri,
            b"REMOTE_ADDR" => Param::Client,
            b"SERVER_SOFTWARE" => Param::Software,
            b"CONTENT_LENGTH" => Param::ContentLength,
            b"PHP_VALUE" | b"PHP_ADMIN_VALUE" => Param::Settings,
            _ => Param::Other,
        }
    }
}
