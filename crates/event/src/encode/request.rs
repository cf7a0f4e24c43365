//! For whom: the request, in ECS's fields and in the guard's own.

use super::{NAME_MAX, PATH_MAX, member, word};
use crate::{Action, Event, Json, RequestFields, address, name};

const URI_MAX: usize = 1024;

/// The request, as far as ECS has fields for it.
pub(super) fn served(json: &mut Json<'_>, served: &RequestFields<'_>) {
    if !served.client.is_empty() {
        json.key(name!("client"));
        json.open(b'{');
        member(json, name!("address"), served.client, NAME_MAX);
        if address::is_address(served.client) {
            member(json, name!("ip"), served.client, NAME_MAX);
        }
        json.close(b'}');
    }
    if !served.method.is_empty() || served.id != 0 {
        json.key(name!("http"));
        json.open(b'{');
        json.key(name!("request"));
        json.open(b'{');
        if served.id != 0 {
            json.key(name!("id"));
            json.open(b'"');
            json.hex(served.id);
            json.close(b'"');
        }
        if !served.method.is_empty() {
            member(json, name!("method"), served.method, 32);
        }
        json.close(b'}');
        json.close(b'}');
    }
    if !served.uri.is_empty() || !served.server_name.is_empty() {
        json.key(name!("url"));
        json.open(b'{');
        if !served.uri.is_empty() {
            member(json, name!("original"), served.uri, URI_MAX);
        }
        if !served.server_name.is_empty() {
            member(json, name!("domain"), served.server_name, 256);
        }
        json.close(b'}');
    }
}

/// What ECS has no field for.
pub(super) fn own(json: &mut Json<'_>, event: &Event<'_>) {
    json.key(name!("portcullis"));
    json.open(b'{');
    word(json, name!("mode"), event.mode);
    word(json, name!("role"), event.role);
    member(json, name!("chain"), event.chain, 256);
    json.key(name!("request"));
    json.open(b'{');
    word(json, name!("state"), event.served.state);
    let served = &event.served;
    if served.state == "known" {
        word(json, name!("source"), served.source);
    }
    for (key, value, max) in [
        (name!("script"), served.script, PATH_MAX),
        (name!("document_root"), served.document_root, PATH_MAX),
        (name!("pool"), served.pool, NAME_MAX),
        (name!("profile"), served.profile, NAME_MAX),
    ] {
        if !value.is_empty() {
            member(json, key, value, max);
        }
    }
    json.close(b'}');
    if !served.vhost.is_empty() {
        member(json, name!("vhost"), served.vhost, NAME_MAX);
    }
    if !event.why.is_empty() {
        member(json, name!("why"), event.why, 256);
    }
    member(json, name!("clause"), event.clause, 256);
    if event.also != 0 {
        json.key(name!("also"));
        json.open(b'[');
        for rule in event.also() {
            json.word(rule.id);
        }
        json.close(b']');
    }
    if !event.detail.is_empty() {
        member(json, name!("detail"), event.detail, 256);
    }
    if !event.unguarded.is_empty() {
        word(json, name!("unguarded"), event.unguarded);
    }
    if !event.unknown.is_empty() {
        word(json, name!("unknown"), event.unknown);
    }
    word(json, name!("layer"), event.layer);
    if !event.clause_file.is_empty() {
        json.key(name!("clause_source"));
        json.open(b'"');
        json.text(event.clause_file, 256);
        json.raw(b":");
        json.digits_text(u64::from(event.clause_line));
        json.close(b'"');
    }
    json.key(name!("stream"));
    json.open(b'"');
    json.hex(event.stream);
    json.close(b'"');
    json.key(name!("dropped"));
    json.number(event.dropped);
    json.key(name!("merged"));
    json.number(event.merged);
    if let Action::Merged { count, like } = event.action {
        json.key(name!("repeated"));
        json.number(count);
        if like != 0 {
            json.key(name!("like"));
            json.open(b'"');
            json.hex(event.stream);
            json.raw(b"-");
            json.digits_text(like);
            json.close(b'"');
        }
    }
    json.close(b'}');
}
