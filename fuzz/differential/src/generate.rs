pub fn case(_: &mut crate::random::Random) -> String { "class none\n".into() }
