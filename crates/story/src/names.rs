//! Texts, each held once.

use crate::quick::Table;
use std::rc::Rc;

/// What a text takes beside its own bytes, in bytes, about: an allocation with its counts, and its places in a list and a table.
const BESIDE: usize = 88;

/// Texts by their numbers; number 0 is the empty one.
pub struct Names {
    numbers: Table<Rc<str>, u32>,
    texts: Vec<Rc<str>>,
    held: usize,
}

impl Default for Names {
    fn default() -> Names {
        let empty: Rc<str> = "".into();
        Names { numbers: Table::from_iter([(Rc::clone(&empty), 0)]), texts: vec![empty], held: 0 }
    }
}

impl Names {
    /// The number of a text.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.add(text.into())
    }

    /// The number of a text that has none yet.
    pub(crate) fn add(&mut self, text: Rc<str>) -> u32 {
        let Ok(number) = u32::try_from(self.texts.len()) else { return 0 };
        self.held += text.len() + BESIDE;
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The text of a number.
    #[must_use]
    pub fn text(&self, number: u32) -> Rc<str> {
        self.texts.get(number as usize).cloned().unwrap_or_default()
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none but the empty one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.len() == 1
    }

    /// What they take, in bytes, about.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }
}
