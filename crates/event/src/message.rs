//! An event as one sentence, for the reader of a journal.

use crate::{Action, Endpoint, Event, Json};

/// Writes the sentence as a JSON string.
pub(crate) fn message(json: &mut Json<'_>, event: &Event<'_>) {
    json.open(b'"');
    let chain = if event.chain.is_empty() { event.process.name } else { event.chain };
    match event.action {
        Action::Connect(to) | Action::Send(to) => {
            json.text(chain, 256);
            json.raw(match (event.action, event.refused) {
                (Action::Send(_), true) => b" was denied a datagram to ",
                (Action::Send(_), false) => b" sends a datagram to ",
                (_, true) => b" was denied a connection to ",
                (_, false) => b" connects to ",
            });
            address_text(json, &to);
            for more in [to.domain, event.detail] {
                if !more.is_empty() {
                    json.raw(b" (");
                    json.text(more, 96);
                    json.raw(b")");
                }
            }
        }
        Action::Listen(on) => {
            json.text(chain, 256);
            json.raw(if event.refused { b" was denied to listen on " } else { b" listens on " });
            address_text(json, &on);
        }
        Action::Exec => {
            json.text(chain, 256);
            json.raw(if event.refused { b" was denied " } else { b" starts " });
            json.raw(program_kind(event.rule.id, event.detail));
            let mut left = 384;
            for (index, argument) in event.process.args.iter().enumerate() {
                if left == 0 {
                    break;
                }
                if index > 0 {
                    left = json.text(b" ", left);
                }
                left = json.text(argument, left);
            }
        }
        Action::Route | Action::Own(_) => {
            json.text(chain, 256);
            if let Some(words) = event.action.sentence() {
                json.raw(if event.refused { words.refused } else { words.proceeds });
                json.raw(words.object);
            }
            json.text(event.detail, 256);
        }
        Action::Ring => {
            json.text(chain, 256);
            let is_new = event.detail == b"io_uring_setup";
            json.raw(match (event.refused, is_new) {
                (true, _) => b" was denied an io_uring",
                (false, true) => b" sets up an io_uring",
                (false, false) => b" has an io_uring",
            });
            if !is_new {
                json.raw(b" ");
                json.text(event.detail, 64);
            }
            json.raw(b", whose connections cannot be seen");
        }
        Action::Call => {
            json.text(chain, 256);
            json.raw(if event.refused { b" was denied a system call" } else { b" makes a system call" });
            if event.detail.is_empty() {
                json.raw(b" that is not decoded");
            } else {
                json.raw(b": ");
                json.text(event.detail, 256);
            }
        }
        Action::Merged { count, like } => {
            json.digits_text(count);
            json.raw(if event.refused { b" more calls were denied" } else { b" more calls went ahead" });
            match like {
                0 => json.raw(b" of kinds that no event names: "),
                like => {
                    json.raw(b" that are like those of event ");
                    json.digits_text(like);
                    json.raw(b": ");
                }
            }
            json.text(event.rule.name.as_bytes(), 96);
        }
        Action::Guard(sentence) => {
            json.text(sentence.as_bytes(), 512);
        }
    }
    let served = &event.served;
    if !served.uri.is_empty() {
        json.raw(b", for ");
        json.text(served.method, 16);
        json.raw(b" ");
        json.text(served.server_name, 96);
        json.text(served.uri, 256);
        if !served.client.is_empty() {
            json.raw(b" from ");
            json.text(served.client, 64);
        }
    }
    json.close(b'"');
}

#[inline(never)]
fn address_text(json: &mut Json<'_>, to: &Endpoint<'_>) {
    match to.ip {
        Some(ip) => {
            if ip.is_ipv6() {
                json.raw(b"[");
            }
            json.ip_text(ip);
            json.raw(if ip.is_ipv6() { b"]:" } else { b":" });
            json.digits_text(u64::from(to.port));
        }
        None => json.raw(b"an unknown address"),
    }
    json.raw(b"/");
    json.text(to.transport.as_bytes(), 16);
}

/// What a program is by the rule that fired; of a variable, its name says for what it is.
fn program_kind(rule: &str, detail: &[u8]) -> &'static [u8] {
    match rule {
        "shell-spawn" => b"a shell: ",
        "exec-place" => b"a program in an unusual place: ",
        "exec-tool" => b"a tool: ",
        "stdio-socket" => b"a program on a network connection: ",
        "exec-unguarded" => b"an unguarded program: ",
        "loader-env" if detail.starts_with(b"LD_") => b"a program with a variable for its loader: ",
        "loader-env" => b"a program with a variable that chooses code: ",
        _ => b"a program: ",
    }
}
