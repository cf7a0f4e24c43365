//! Values of a choice that no event has: a name may be mistyped, and silence would say that nothing happened.

use super::Selection;
use super::selection::of_policy;
use crate::log::Event;
use crate::out;
use crate::text::option;
use portcullis_event::field;
use portcullis_story::site;

/// An option, and the values of an event that it chooses by.
type Key = (&'static str, fn(&Event) -> [&str; 2]);

const HOST: Key = ("host", |event| [event.text(field::HOST_HOSTNAME); 2]);
const SITE: Key = ("site", |event| [site(event); 2]);
const REQUEST: Key = ("request", |event| [event.text(field::HTTP_REQUEST_ID); 2]);
const ID: Key = ("id", |event| [event.text(field::EVENT_ID), event.text(field::LIKE)]);
const CLIENT: Key = ("client", |event| [event.text(field::CLIENT_ADDRESS); 2]);

/// The values of a choice that no event has had so far.
pub struct Unseen<'s> {
    left: Vec<(Key, &'s str)>,
    is_any: bool,
}

impl<'s> Unseen<'s> {
    pub fn of(selection: &'s Selection) -> Unseen<'s> {
        let all = |key: Key, values: &'s [String]| values.iter().map(move |value| (key, value.as_str()));
        let lists = all(HOST, &selection.host)
            .chain(all(SITE, &selection.site))
            .chain(all(REQUEST, &selection.request))
            .chain(all(ID, &selection.id))
            .chain(all(CLIENT, selection.client.as_slice()));
        Unseen { left: lists.collect(), is_any: false }
    }

    /// Looks at an event, chosen or not.
    pub fn look(&mut self, event: &Event) {
        self.is_any = true;
        if !self.left.is_empty() {
            self.left
                .retain(|((_, of), value)| !of(event).iter().any(|known| known.eq_ignore_ascii_case(of_policy(value))));
        }
    }

    /// What no event has, as it is written on the command line; of no event at all, that says nothing.
    pub fn done(self) -> Option<String> {
        let options: Vec<String> =
            self.left.iter().map(|((name, _), value)| out::printable(&option(name, value))).collect();
        (self.is_any && !options.is_empty()).then(|| crate::modes::some(&options, options.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_no_event_has_is_named() {
        let event = Event::of(&json!({
            "client": { "address": "192.0.2.7" }, "host": { "hostname": "web1" }, "http": { "request": { "id": "5b1e" } },
            "event": { "id": "ab-7" }, "url": { "domain": "shop.example" },
        }));
        let own = |value: &str| vec![value.to_owned()];
        let right = Selection {
            host: own("WEB1"),
            site: own("shop.example"),
            request: own("5b1e"),
            id: own("ab-7"),
            client: Some("192.0.2.7".into()),
            ..Selection::default()
        };
        let wrong = Selection { host: own("web2\n"), client: Some("192.0.2.8".into()), ..right.clone() };
        let said = |selection: &Selection| {
            let mut unseen = Unseen::of(selection);
            unseen.look(&event);
            unseen.done()
        };
        assert_eq!(said(&right), None);
        let names = said(&wrong).expect("two of them");
        assert!(names.contains("--client 192.0.2.8") && names.contains("web2") && !names.contains('\n'), "{names}");
        assert!(Unseen::of(&wrong).done().is_none(), "no event at all");
    }
}
