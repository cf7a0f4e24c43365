//! For whom: the request, in ECS's fields and in the guard's own.

use super::{NAME_MAX, PATH_MAX, member, word};
use crate::{Action, Event, Json, RequestFields, address, field, name};

const URI_MAX: usize = 1024;

/// The request, as far as ECS has fields for it.
pub(super) fn served(json: &mut Json<'_>, served: &RequestFields<'_>) {
    if !served.client.is_empty() {
        json.key(name!("client"));
        json.open(b'{');
        member(json, field::CLIENT_ADDRESS.key, served.client, NAME_MAX);
        if address::is_address(served.client) {
            member(json, field::CLIENT_IP.key, served.client, NAME_MAX);
        }
        json.close(b'}');
    }
    if !served.method.is_empty() || served.id != 0 {
        json.key(name!("http"));
        json.open(b'{');
        json.key(name!("request"));
        json.open(b'{');
        if served.id != 0 {
            json.key(field::HTTP_REQUEST_ID.key);
            json.open(b'"');
            json.hex(served.id);
            json.close(b'"');
        }
        if !served.method.is_empty() {
            member(json, field::HTTP_REQUEST_METHOD.key, served.method, 32);
        }
        json.close(b'}');
        json.close(b'}');
    }
    if !served.uri.is_empty() || !served.server_name.is_empty() {
        json.key(name!("url"));
        json.open(b'{');
        if !served.uri.is_empty() {
            member(json, field::URL_ORIGINAL.key, served.uri, URI_MAX);
        }
        if !served.server_name.is_empty() {
            member(json, field::URL_DOMAIN.key, served.server_name, 256);
        }
        json.close(b'}');
    }
}

/// What ECS has no field for.
pub(super) fn own(json: &mut Json<'_>, event: &Event<'_>) {
    json.key(name!("portcullis"));
    json.open(b'{');
    word(json, field::MODE.key, event.mode);
    word(json, field::ROLE.key, event.role);
    member(json, field::CHAIN.key, event.chain, 256);
    json.key(name!("request"));
    json.open(b'{');
    word(json, field::REQUEST_STATE.key, event.served.state);
    let served = &event.served;
    if served.state == "known" {
        word(json, field::REQUEST_SOURCE.key, served.source);
    }
    for (key, value, max) in [
        (field::REQUEST_SCRIPT.key, served.script, PATH_MAX),
        (field::REQUEST_DOCUMENT_ROOT.key, served.document_root, PATH_MAX),
        (field::REQUEST_POOL.key, served.pool, NAME_MAX),
        (field::REQUEST_PROFILE.key, served.profile, NAME_MAX),
    ] {
        if !value.is_empty() {
            member(json, key, value, max);
        }
    }
    json.close(b'}');
    if !served.vhost.is_empty() {
        member(json, field::VHOST.key, served.vhost, NAME_MAX);
    }
    if !event.why.is_empty() {
        member(json, field::WHY.key, event.why, 256);
    }
    member(json, field::CLAUSE.key, event.clause, 256);
    if event.also != 0 {
        json.key(field::ALSO.key);
        json.open(b'[');
        for rule in event.also() {
            json.word(rule.id);
        }
        json.close(b']');
    }
    if !event.detail.is_empty() {
        member(json, field::DETAIL.key, event.detail, 256);
    }
    if !event.unguarded.is_empty() {
        word(json, field::UNGUARDED.key, event.unguarded);
    }
    if !event.unknown.is_empty() {
        word(json, field::UNKNOWN.key, event.unknown);
    }
    word(json, field::LAYER.key, event.layer);
    if !event.clause_file.is_empty() {
        json.key(field::CLAUSE_SOURCE.key);
        json.open(b'"');
        json.text(event.clause_file, 256);
        json.raw(b":");
        json.digits_text(u64::from(event.clause_line));
        json.close(b'"');
    }
    json.key(field::STREAM.key);
    json.open(b'"');
    json.hex(event.stream);
    json.close(b'"');
    json.key(field::DROPPED.key);
    json.number(event.dropped);
    json.key(field::MERGED.key);
    json.number(event.merged);
    if let Action::Merged { count, like } = event.action {
        json.key(field::REPEATED.key);
        json.number(count);
        if like != 0 {
            json.key(field::LIKE.key);
            json.open(b'"');
            json.hex(event.stream);
            json.raw(b"-");
            json.digits_text(like);
            json.close(b'"');
        }
    }
    json.close(b'}');
}
