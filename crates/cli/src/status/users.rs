//! Names of users, as /etc/passwd has them.

use super::claim::text;
use portcullis_config::reading::{self, Links};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest list of users.
const USERS_MAX: u64 = 16 << 20;

/// The names by number.
#[derive(Default)]
pub struct Users(BTreeMap<u32, String>);

impl Users {
    /// Those of this machine.
    pub fn here() -> Users {
        let bytes = reading::bytes(Path::new("/etc/passwd"), Links::Follow, USERS_MAX).unwrap_or_default();
        let mut users = BTreeMap::new();
        for line in text(&bytes).lines() {
            // NAME:PASSWORD:NUMBER:... (passwd(5)); the first line of a number counts.
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or_default();
            if let Some(number) = fields.nth(1).and_then(|number| number.parse().ok()) {
                users.entry(number).or_insert_with(|| name.to_owned());
            }
        }
        Users(users)
    }

    /// A user's name, or the number of one without.
    pub fn name(&self, user: Option<u32>) -> String {
        match user {
            Some(user) => self.0.get(&user).cloned().unwrap_or_else(|| user.to_string()),
            None => "unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let users = Users::here();
        assert_eq!(
            (users.name(Some(0)), users.name(Some(4_000_000_000)), users.name(None)),
            ("root".into(), "4000000000".into(), "unknown".into())
        );
    }
}
