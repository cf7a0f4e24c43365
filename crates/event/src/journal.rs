//! The fields that the journal gets beside the line, in journald's native protocol.
//! Source: systemd.io, "Native Journal Protocol": `NAME=value` and a newline, or, for a value with any bytes, the
//! name, a newline, the length as 64 bits in little endian, the value, a newline.

use crate::digits::{decimal, hexadecimal};
use crate::{Action, Event, address};
use arrayvec::ArrayVec;

/// The size of the buffer that all fields always fit into, in bytes.
const FIELDS_MAX: usize = 6144;
/// The longest value of a field.
const VALUE_MAX: usize = 256;

/// Room for all fields.
pub type Fields = ArrayVec<u8, FIELDS_MAX>;

/// Every field begins with the newline that ends the one before, so that one piece does for both.
struct Writer<'b>(&'b mut Fields);

/// A field with any bytes in it: `NAME`; nothing where it is empty.
macro_rules! text {
    ($fields:ident, $name:literal, $value:expr) => {
        $fields.text(concat!("\n", $name, "\n"), $value)
    };
}

/// A field with a number.
macro_rules! number {
    ($fields:ident, $name:literal, $value:expr) => {
        $fields.number(concat!("\n", $name, "="), $value)
    };
}

impl Writer<'_> {
    #[inline(never)]
    fn push(&mut self, bytes: &[u8]) {
        let _ = self.0.try_extend_from_slice(bytes);
    }

    #[inline(never)]
    fn text(&mut self, head: &'static str, value: &[u8]) {
        let value = value.get(..VALUE_MAX).unwrap_or(value);
        if !value.is_empty() {
            self.push(head.as_bytes());
            self.push(&(value.len() as u64).to_le_bytes());
            self.push(value);
        }
    }

    #[inline(never)]
    fn number(&mut self, head: &'static str, value: u64) {
        self.push(head.as_bytes());
        decimal(value, 1, |digits| self.push(digits));
    }
}

/// The syslog priority of a severity: 3 error, 4 warning, 5 notice.
#[must_use]
pub fn priority(severity: u8) -> u8 {
    match severity {
        73.. => 3,
        47.. => 4,
        _ => 5,
    }
}

/// Writes the fields of `event`, up to and without MESSAGE.
#[must_use]
pub fn fields<'b>(event: &Event<'_>, buffer: &'b mut Fields) -> &'b [u8] {
    let mut fields = Writer(buffer);
    fields.push(b"SYSLOG_IDENTIFIER=portcullis");
    number!(fields, "PRIORITY", u64::from(priority(event.severity())));
    text!(fields, "RULE_ID", event.rule.id.as_bytes());
    text!(fields, "RULE_NAME", event.title().as_bytes());
    number!(fields, "EVENT_SEVERITY", u64::from(event.severity()));
    number!(fields, "EVENT_SEQUENCE", event.sequence);
    text!(fields, "EVENT_OUTCOME", if event.refused { b"failure" } else { b"success" });
    text!(fields, "PORTCULLIS_MODE", event.mode.as_bytes());
    text!(fields, "PORTCULLIS_ROLE", event.role.as_bytes());
    text!(fields, "PORTCULLIS_CHAIN", event.chain);
    text!(fields, "PORTCULLIS_CLAUSE", event.clause);
    number!(fields, "PORTCULLIS_DROPPED", event.dropped);
    number!(fields, "PORTCULLIS_MERGED", event.merged);
    text!(fields, "PORTCULLIS_VHOST", event.served.vhost);
    text!(fields, "PORTCULLIS_WHY", event.why);
    text!(fields, "PORTCULLIS_SCRIPT", event.served.script);
    text!(fields, "URL_DOMAIN", event.served.server_name);
    text!(fields, "URL_ORIGINAL", event.served.uri);
    if event.served.id != 0 {
        fields.push(b"\nHTTP_REQUEST_ID=");
        hexadecimal(event.served.id, |digits| fields.push(digits));
    }
    text!(fields, "HTTP_REQUEST_METHOD", event.served.method);
    text!(fields, "CLIENT_ADDRESS", event.served.client);
    let mut address = [0; address::TEXT_MAX];
    match event.action {
        Action::Connect(to) | Action::Send(to) => {
            if let Some(ip) = to.ip {
                text!(fields, "DESTINATION_IP", address::text(ip, &mut address));
                number!(fields, "DESTINATION_PORT", u64::from(to.port));
            }
            text!(fields, "DESTINATION_DOMAIN", to.domain);
            text!(fields, "NETWORK_TRANSPORT", to.transport.as_bytes());
        }
        Action::Listen(on) => {
            if let Some(ip) = on.ip {
                text!(fields, "SERVER_IP", address::text(ip, &mut address));
                number!(fields, "SERVER_PORT", u64::from(on.port));
            }
            text!(fields, "NETWORK_TRANSPORT", on.transport.as_bytes());
        }
        Action::Merged { count, .. } => number!(fields, "PORTCULLIS_REPEATED", count),
        _ => {}
    }
    text!(fields, "PORTCULLIS_DETAIL", event.detail);
    text!(fields, "PORTCULLIS_LAYER", event.layer.as_bytes());
    text!(fields, "PROCESS_NAME", event.process.name);
    text!(fields, "PROCESS_EXECUTABLE", event.process.executable);
    text!(fields, "PROCESS_PARENT_NAME", event.parent.name);
    text!(fields, "PROCESS_PARENT_EXECUTABLE", event.parent.executable);
    text!(fields, "USER_NAME", event.user);
    fields.push(b"\n");
    fields.0
}
