//! A bounded piece of text.

/// At most `N` bytes, and whether there were more.
#[derive(Clone, Debug)]
pub struct Field<const N: usize> {
    bytes: [u8; N],
    len: usize,
    cut: bool,
}

impl<const N: usize> Field<N> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Field<N> {
        Field { bytes: [0; N], len: 0, cut: false }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
        self.cut = false;
    }

    /// Replaces what is there.
    pub fn set(&mut self, value: &[u8]) {
        self.clear();
        self.add(value);
    }

    /// Keeps the part of what is there that `part` gives. What was cut stays so, unless its end is in what is there.
    pub fn narrow(&mut self, part: impl FnOnce(&[u8]) -> &[u8]) {
        let part = part(self.bytes());
        if part.len() == self.len {
            return;
        }
        let ends_within = !self.bytes().ends_with(part);
        let mut narrower = Field::new();
        narrower.set(part);
        narrower.cut = self.cut && !ends_within;
        *self = narrower;
    }

    /// Whether nothing is there, and nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0 && !self.cut
    }

    /// Takes note that there was something that could not be read.
    pub fn mark_cut(&mut self) {
        self.cut = true;
    }

    /// Adds to what is there.
    pub fn add(&mut self, value: &[u8]) {
        let room = N.saturating_sub(self.len);
        self.cut |= value.len() > room;
        let value = value.get(..room).unwrap_or(value);
        if let Some(to) = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..value.len())) {
            to.copy_from_slice(value);
            self.len = self.len.wrapping_add(value.len());
        }
    }

    /// What is there.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether there was more than fits.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// What is there if it is all there was; else nothing, since half a path is another path.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        if self.cut { &[] } else { self.bytes() }
    }
}

impl<const N: usize> Default for Field<N> {
    fn default() -> Field<N> {
        Field::new()
    }
}

impl<const N: usize> PartialEq for Field<N> {
    fn eq(&self, other: &Field<N>) -> bool {
        self.bytes() == other.bytes() && self.cut == other.cut
    }
}

impl<const N: usize> Eq for Field<N> {}
