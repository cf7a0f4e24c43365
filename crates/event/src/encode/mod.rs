//! An event as one line of ECS JSON.

mod process;
mod request;

use crate::message::message;
use crate::{Action, Endpoint, Event, Json, Line, MemberName, field, name};
use process::process;
use request::{own, served};

/// The version of the Elastic Common Schema whose names are used.
const ECS: &str = r#","ecs":{"version":"9.0.0"}"#;
const PATH_MAX: usize = 512;
const NAME_MAX: usize = 96;

/// Writes `event` into `buffer`, with a newline at its end.
#[must_use]
pub fn encode<'b>(event: &Event<'_>, buffer: &'b mut Line) -> &'b [u8] {
    let mut json = Json::new(buffer);
    json.open(b'{');
    json.key(field::TIMESTAMP.key);
    json.time(event.time);
    json.key(field::MESSAGE.key);
    message(&mut json, event);
    json.constant(ECS);
    about(&mut json, event);
    json.key(name!("rule"));
    json.open(b'{');
    word(&mut json, field::RULE_ID.key, event.rule.id);
    word(&mut json, field::RULE_NAME.key, event.title());
    json.close(b'}');
    if !event.rule.techniques.is_empty() {
        json.key(name!("threat"));
        json.open(b'{');
        json.constant(r#","framework":"MITRE ATT&CK""#);
        json.key(name!("technique"));
        json.open(b'{');
        list(&mut json, field::TECHNIQUE_ID.key, event.rule.techniques);
        if !event.rule.subtechniques.is_empty() {
            json.key(name!("subtechnique"));
            json.open(b'{');
            list(&mut json, field::TECHNIQUE_SUBTECHNIQUE_ID.key, event.rule.subtechniques);
            json.close(b'}');
        }
        json.close(b'}');
        json.close(b'}');
    }
    match event.action {
        Action::Connect(to) | Action::Send(to) => endpoint(&mut json, name!("destination"), "egress", &to),
        Action::Listen(on) => endpoint(&mut json, name!("server"), "ingress", &on),
        _ => {}
    }
    json.key(name!("process"));
    process(&mut json, &event.process, Some(&event.parent));
    json.key(name!("user"));
    json.open(b'{');
    json.key(field::USER_ID.key);
    json.open(b'"');
    json.digits_text(u64::from(event.uid));
    json.close(b'"');
    if !event.user.is_empty() {
        member(&mut json, field::USER_NAME.key, event.user, NAME_MAX);
    }
    json.close(b'}');
    served(&mut json, &event.served);
    json.key(name!("host"));
    json.open(b'{');
    member(&mut json, field::HOST_HOSTNAME.key, event.host, NAME_MAX);
    json.constant(r#","os":{"type":"linux"}"#);
    json.close(b'}');
    own(&mut json, event);
    json.close(b'}');
    json.raw(b"\n");
    json.finish()
}

/// One end of a connection: `destination` and `server` have the same names in them.
#[inline(never)]
fn endpoint(json: &mut Json<'_>, key: MemberName, direction: &'static str, at: &Endpoint<'_>) {
    if let Some(ip) = at.ip {
        json.key(key);
        json.open(b'{');
        json.key(field::DESTINATION_IP.key);
        json.ip(ip);
        json.key(field::DESTINATION_PORT.key);
        json.number(u64::from(at.port));
        if !at.domain.is_empty() {
            member(json, field::DESTINATION_DOMAIN.key, at.domain, 256);
        }
        json.close(b'}');
    }
    json.key(name!("network"));
    json.open(b'{');
    word(json, field::NETWORK_DIRECTION.key, direction);
    word(json, field::NETWORK_TRANSPORT.key, at.transport);
    if let Some(ip) = at.ip {
        word(json, field::NETWORK_TYPE.key, if ip.is_ipv6() { "ipv6" } else { "ipv4" });
    }
    json.close(b'}');
}

#[inline(never)]
fn member(json: &mut Json<'_>, key: MemberName, value: &[u8], max: usize) {
    json.key(key);
    json.string(value, max);
}

/// A member whose value is a word of this program's own.
#[inline(never)]
fn word(json: &mut Json<'_>, key: MemberName, value: &'static str) {
    json.key(key);
    json.word(value);
}

#[inline(never)]
fn list(json: &mut Json<'_>, key: MemberName, values: &[&'static str]) {
    json.key(key);
    json.open(b'[');
    for value in values {
        json.word(value);
    }
    json.close(b']');
}

fn about(json: &mut Json<'_>, event: &Event<'_>) {
    let category = event.action.category(event.rule);
    let (kind, refused) = event.action.types(category);
    json.key(name!("event"));
    json.open(b'{');
    json.key(field::EVENT_ID.key);
    json.open(b'"');
    json.hex(event.stream);
    json.raw(b"-");
    json.digits_text(event.sequence);
    json.close(b'"');
    json.constant(r#","kind":"alert","module":"portcullis","dataset":"portcullis.events""#);
    list(json, field::EVENT_CATEGORY.key, &[category]);
    json.key(field::EVENT_TYPE.key);
    json.open(b'[');
    json.word(kind);
    if event.refused && !refused.is_empty() {
        json.word(refused);
    }
    json.close(b']');
    member(json, field::EVENT_ACTION.key, event.action.word(), NAME_MAX);
    word(json, field::EVENT_OUTCOME.key, if event.refused { "failure" } else { "success" });
    json.key(field::EVENT_SEVERITY.key);
    json.number(u64::from(event.severity()));
    json.key(field::EVENT_SEQUENCE.key);
    json.number(event.sequence);
    json.close(b'}');
}

#[cfg(test)]
mod tests;
