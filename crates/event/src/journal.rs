//! The fields that the journal gets beside the line, in journald's native protocol.
//! Source: systemd.io, "Native Journal Protocol": `NAME=value` and a newline, or, for a value with any bytes, the
//! name, a newline, the length as 64 bits in little endian, the value, a newline.

use crate::{Action, Event, address};
use arrayvec::ArrayVec;
use core::fmt::Write;

/// The size of the buffer that all fields always fit into, in bytes.
const FIELDS_MAX: usize = 6144;
/// The longest value of a field.
const VALUE_MAX: usize = 256;

/// Room for all fields.
pub type Fields = ArrayVec<u8, FIELDS_MAX>;

struct Writer<'b>(&'b mut Fields);

impl Writer<'_> {
    #[inline(never)]
    fn push(&mut self, bytes: &[u8]) {
        let _ = self.0.try_extend_from_slice(bytes);
    }

    #[inline(never)]
    fn field(&mut self, name: &str, value: &[u8]) {
        let value = value.get(..VALUE_MAX).unwrap_or(value);
        if value.is_empty() {
            return;
        }
        self.push(name.as_bytes());
        self.push(b"\n");
        self.push(&(value.len() as u64).to_le_bytes());
        self.push(value);
        self.push(b"\n");
    }

    fn display(&mut self, name: &str, value: impl core::fmt::Display) {
        self.push(name.as_bytes());
        self.push(b"=");
        let _ = write!(self, "{value}");
        self.push(b"\n");
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
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
    fields.push(b"SYSLOG_IDENTIFIER=portcullis\n");
    fields.display("PRIORITY", priority(event.severity()));
    fields.field("RULE_ID", event.rule.id.as_bytes());
    fields.field("RULE_NAME", event.rule.name.as_bytes());
    fields.display("EVENT_SEVERITY", event.severity());
    fields.display("EVENT_SEQUENCE", event.sequence);
    fields.field("EVENT_OUTCOME", if event.refused { b"failure" } else { b"success" });
    fields.field("PORTCULLIS_MODE", event.mode.as_bytes());
    fields.field("PORTCULLIS_ROLE", event.role.as_bytes());
    fields.field("PORTCULLIS_CHAIN", event.chain);
    fields.field("PORTCULLIS_CLAUSE", event.clause);
    fields.display("PORTCULLIS_DROPPED", event.dropped);
    fields.display("PORTCULLIS_MERGED", event.merged);
    fields.field("PORTCULLIS_VHOST", event.served.vhost);
    fields.field("PORTCULLIS_WHY", event.why);
    fields.field("PORTCULLIS_SCRIPT", event.served.script);
    fields.field("URL_DOMAIN", event.served.server_name);
    fields.field("URL_ORIGINAL", event.served.uri);
    if event.served.id != 0 {
        fields.display("HTTP_REQUEST_ID", format_args!("{:016x}", event.served.id));
    }
    fields.field("HTTP_REQUEST_METHOD", event.served.method);
    fields.field("CLIENT_ADDRESS", event.served.client);
    let mut address = [0; address::TEXT_MAX];
    match event.action {
        Action::Connect(to) | Action::Send(to) => {
            fields.field("DESTINATION_IP", address::text(to.ip, &mut address));
            fields.display("DESTINATION_PORT", to.port);
            fields.field("DESTINATION_DOMAIN", to.domain);
            fields.field("NETWORK_TRANSPORT", to.transport.as_bytes());
        }
        Action::Listen(on) => {
            fields.field("SERVER_IP", address::text(on.ip, &mut address));
            fields.display("SERVER_PORT", on.port);
            fields.field("NETWORK_TRANSPORT", on.transport.as_bytes());
        }
        Action::Merged { count, .. } => fields.display("PORTCULLIS_REPEATED", count),
        _ => {}
    }
    fields.field("PORTCULLIS_DETAIL", event.detail);
    fields.field("PORTCULLIS_LAYER", event.layer.as_bytes());
    fields.field("PROCESS_NAME", event.process.name);
    fields.field("PROCESS_EXECUTABLE", event.process.executable);
    fields.field("PROCESS_PARENT_NAME", event.parent.name);
    fields.field("PROCESS_PARENT_EXECUTABLE", event.parent.executable);
    fields.field("USER_NAME", event.user);
    fields.0
}
