//! The typed view of a compiled policy: checked once as a whole, then at every step that follows an index.

use crate::format::{Clause, Header, MAGIC, Range, SECTIONS, Scope, Section, Source, StringRange, VERSION, checksum};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Why some bytes are not a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than a header, or than its own length says.
    Truncated,
    /// Does not begin with [`MAGIC`].
    NotAPolicy,
    /// Another version of the format.
    Version(u32),
    /// The checksum does not match.
    Damaged,
    /// A section lies outside the file or is not made of whole records.
    Section,
}

impl Malformed {
    /// A sentence for people.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Malformed::Truncated => "the compiled policy is truncated",
            Malformed::NotAPolicy => "the file is not a compiled policy",
            Malformed::Version(_) => "the compiled policy has another format version",
            Malformed::Damaged => "the compiled policy is damaged: its checksum does not match",
            Malformed::Section => "the compiled policy is damaged: a section is out of bounds",
        }
    }
}

/// A scope without a list, in which every rule audits: of a policy that has none, which [`Policy::unsummed`] never accepts.
static NOTHING_KNOWN: Scope = Scope::audit();
static NO_HEADER: Header = Header::empty();

/// A policy, read in place.
#[derive(Clone, Copy)]
pub struct Policy<'a> {
    bytes: &'a [u8],
    header: &'a Header,
}

impl<'a> Policy<'a> {
    /// Checks `bytes` and gives the view.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(bytes: &'a [u8]) -> Result<Policy<'a>, Malformed> {
        let policy = Policy::unsummed(bytes)?;
        let summed = policy.bytes.get(24..).ok_or(Malformed::Truncated)?;
        if checksum(summed) != policy.header.checksum.get() {
            return Err(Malformed::Damaged);
        }
        Ok(policy)
    }

    /// The same without the checksum, whose cost grows with the policy: for bytes that another process has checked whole.
    /// Whatever they are, no index in them is followed out of bounds.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn unsummed(bytes: &'a [u8]) -> Result<Policy<'a>, Malformed> {
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        if header.magic != MAGIC {
            return Err(Malformed::NotAPolicy);
        }
        if header.version.get() != VERSION {
            return Err(Malformed::Version(header.version.get()));
        }
        let bytes = bytes.get(..header.length.get() as usize).ok_or(Malformed::Truncated)?;
        let policy = Policy { bytes, header };
        for section in header.sections.iter().take(SECTIONS) {
            policy.slice(*section).ok_or(Malformed::Section)?;
        }
        if policy.records::<Scope>(Section::Scopes).is_empty() {
            return Err(Malformed::Section);
        }
        Ok(policy)
    }

    /// The view of bytes that [`Policy::new`] has accepted before. Of others every rule audits.
    #[must_use]
    pub fn accepted(bytes: &'a [u8]) -> Policy<'a> {
        let header = Header::ref_from_prefix(bytes).map_or(&NO_HEADER, |(header, _)| header);
        Policy { bytes, header }
    }

    /// The length that the header at the beginning of `bytes` gives, in bytes.
    #[must_use]
    pub fn length(bytes: &[u8]) -> Option<usize> {
        let (header, _) = Header::ref_from_prefix(bytes).ok()?;
        Some(header.length.get() as usize)
    }

    fn slice(&self, range: Range) -> Option<&'a [u8]> {
        let start = range.start.get() as usize;
        self.bytes.get(start..start.checked_add(range.len.get() as usize)?)
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.header.sections.get(section as usize).and_then(|range| self.slice(*range)).unwrap_or_default()
    }

    /// All records of a section; none where it is not made of whole ones.
    pub(crate) fn records<T: FromBytes + Immutable + KnownLayout + Unaligned>(&self, section: Section) -> &'a [T] {
        <[T]>::ref_from_bytes(self.section(section)).unwrap_or_default()
    }

    /// The records of a range of a section; none where it lies outside.
    #[inline]
    pub(crate) fn range<T: FromBytes + Immutable + KnownLayout + Unaligned>(
        &self,
        section: Section,
        range: Range,
    ) -> &'a [T] {
        let Some(within) = self.header.sections.get(section as usize) else { return &[] };
        // Numbers of 32 bits times the size of a record: no overflow in 64.
        let size = size_of::<T>() as u64;
        let start = u64::from(range.start.get()).wrapping_mul(size);
        let end = start.wrapping_add(u64::from(range.len.get()).wrapping_mul(size));
        if end > u64::from(within.len.get()) {
            return &[];
        }
        let at = u64::from(within.start.get());
        let bytes = self.bytes.get(at.wrapping_add(start) as usize..at.wrapping_add(end) as usize).unwrap_or_default();
        <[T]>::ref_from_bytes(bytes).unwrap_or_default()
    }

    /// The bytes of a text; empty where it lies outside.
    #[must_use]
    pub fn text(&self, text: StringRange) -> &'a [u8] {
        let start = text.start.get() as usize;
        self.section(Section::Strings).get(start..start.wrapping_add(text.len.get() as usize)).unwrap_or_default()
    }

    /// A scope by its number; the strictest one where there is none of that number.
    #[inline]
    pub(crate) fn scope(&self, number: u32) -> &'a Scope {
        let at = |number: u32| self.range(Section::Scopes, Range { start: number.into(), len: 1.into() }).first();
        match at(number) {
            Some(scope) => scope,
            None => at(crate::STRICTEST_SCOPE).unwrap_or(&NOTHING_KNOWN),
        }
    }

    /// The words, the file and the line of a clause.
    #[must_use]
    pub fn clause(&self, index: u32) -> (&'a [u8], &'a [u8], u32) {
        match self.records::<Clause>(Section::Clauses).get(index as usize) {
            Some(clause) => (self.text(clause.text), self.text(clause.file), clause.line.get()),
            None => (&[], &[], 0),
        }
    }

    /// The mode of `rule` in a scope, the strictest where it has more than one.
    #[must_use]
    pub fn mode(&self, scope: u32, rule: crate::Rule) -> crate::Mode {
        crate::rest::strictest_mode(self.scope(scope), rule)
    }

    /// The mode of a rule in a scope for what it finds anywhere: `exec-place` may be stricter in some places.
    #[must_use]
    pub fn general_mode(&self, scope: u32, rule: crate::Rule) -> crate::Mode {
        crate::rest::mode(self.scope(scope), rule)
    }

    /// The sentence that events of `rule` carry in a scope; may be empty.
    #[must_use]
    pub fn why(&self, scope: u32, rule: crate::Rule) -> &'a [u8] {
        let why = self.scope(scope).why.get(rule as usize);
        why.map(|why| self.text(*why)).unwrap_or_default()
    }

    /// The files that the policy was compiled from: path ending in NUL, mark ([`crate::place::source_mark`]), size in bytes.
    pub fn sources(&self) -> impl Iterator<Item = (&'a [u8], i64, u64)> + use<'a> {
        let policy = *self;
        self.records::<Source>(Section::Sources)
            .iter()
            .map(move |source| (policy.text(source.path), source.mark.get(), source.size.get()))
    }

    /// Bit set of sinks: [`crate::Sink::bit`].
    #[must_use]
    pub fn sinks(&self) -> u32 {
        self.header.sinks.get()
    }

    /// Whether events are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.header.sinks.get() & crate::format::SEALED != 0
    }

    /// Whether one mode overrides every other.
    #[must_use]
    pub fn is_overridden(&self) -> bool {
        self.header.sinks.get() & crate::format::OVERRIDDEN != 0
    }

    /// Whether repeated events are merged.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.header.sinks.get() & crate::format::EVERY_EVENT == 0
    }

    /// What the backstop is to do.
    #[must_use]
    pub fn backstop(&self) -> crate::Backstop {
        crate::Backstop::from_number(self.header.backstop.get())
    }

    /// The backstop's filter, with placeholders.
    #[must_use]
    pub fn filter(&self) -> &'a [crate::format::Instruction] {
        self.records(Section::Filter)
    }

    /// Path of the file sink, ending in NUL; empty where there is none.
    #[must_use]
    pub fn log_file(&self) -> &'a [u8] {
        self.text(self.header.log_file)
    }

    /// The checksum: names this policy among others.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.header.checksum.get()
    }
}
