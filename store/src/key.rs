//! Where a row lies: a secret group, and an order inside the group.

use std::ops::Bound;

/// Names a row of a table.
///
/// The group is hidden on disk (a keyed hash stands for it); the order bytes are not, and sort the group's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    group: Vec<u8>,
    order: Vec<u8>,
}

impl Key {
    /// Makes a key. Order bytes must tell nothing: sequence numbers and times (big-endian, so that they sort) or
    /// random ids; what names a person or a word belongs into the group.
    pub fn new(group: &[u8], order: &[u8]) -> Self {
        Self { group: group.to_vec(), order: order.to_vec() }
    }

    /// Returns the group.
    pub fn group(&self) -> &[u8] {
        &self.group
    }

    /// Returns the order bytes.
    pub fn order(&self) -> &[u8] {
        &self.order
    }
}

/// Selects rows of a group by their order bytes, and the direction to read them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub(crate) lower: Bound<Vec<u8>>,
    pub(crate) upper: Bound<Vec<u8>>,
    pub(crate) backward: bool,
}

impl Range {
    /// Selects all rows, first to last.
    pub fn all() -> Self {
        Self { lower: Bound::Unbounded, upper: Bound::Unbounded, backward: false }
    }

    /// Starts at these order bytes, themselves included.
    pub fn from(mut self, order: &[u8]) -> Self {
        self.lower = Bound::Included(order.to_vec());
        self
    }

    /// Starts after these order bytes.
    pub fn after(mut self, order: &[u8]) -> Self {
        self.lower = Bound::Excluded(order.to_vec());
        self
    }

    /// Ends at these order bytes, themselves included.
    pub fn until(mut self, order: &[u8]) -> Self {
        self.upper = Bound::Included(order.to_vec());
        self
    }

    /// Ends before these order bytes.
    pub fn before(mut self, order: &[u8]) -> Self {
        self.upper = Bound::Excluded(order.to_vec());
        self
    }

    /// Reads last to first; a limit then keeps the last rows.
    pub fn backward(mut self) -> Self {
        self.backward = true;
        self
    }
}

/// The physical bounds of a stretch of rows in the one sorted tree.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) lower: Bound<Vec<u8>>,
    pub(crate) upper: Bound<Vec<u8>>,
    pub(crate) backward: bool,
}

impl Stretch {
    /// Puts a range of order bytes behind a prefix.
    pub(crate) fn of(prefix: &[u8], range: &Range) -> Self {
        let behind = |order: &[u8]| [prefix, order].concat();
        let lower = match &range.lower {
            Bound::Included(order) => Bound::Included(behind(order)),
            Bound::Excluded(order) => Bound::Excluded(behind(order)),
            Bound::Unbounded => Bound::Included(prefix.to_vec()),
        };
        let upper = match &range.upper {
            Bound::Included(order) => Bound::Included(behind(order)),
            Bound::Excluded(order) => Bound::Excluded(behind(order)),
            Bound::Unbounded => end_of(prefix),
        };
        Self { lower, upper, backward: range.backward }
    }

    /// Covers everything behind a prefix, after one place if given.
    pub(crate) fn whole(prefix: &[u8], after: Option<Vec<u8>>) -> Self {
        let lower = after.map_or_else(|| Bound::Included(prefix.to_vec()), Bound::Excluded);
        Self { lower, upper: end_of(prefix), backward: false }
    }

    /// Tells whether no key can lie inside; such bounds must not reach an ordered map, which refuses them.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
            _ => false,
        }
    }

    /// Borrows the bounds.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(Vec::as_slice), self.upper.as_ref().map(Vec::as_slice))
    }
}

/// The first key that no longer starts with the prefix.
fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last.saturating_add(1));
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_end_carries_and_gives_up_at_the_last() {
        assert_eq!(end_of(&[1, 2]), Bound::Excluded(vec![1, 3]));
        assert_eq!(end_of(&[1, 255]), Bound::Excluded(vec![2]));
        assert_eq!(end_of(&[255, 255]), Bound::Unbounded);
    }

    #[test]
    fn crossed_bounds_are_empty() {
        assert!(Stretch::of(b"p", &Range::all().from(b"b").until(b"a")).is_empty());
        assert!(Stretch::of(b"p", &Range::all().after(b"a").before(b"a")).is_empty());
        assert!(!Stretch::of(b"p", &Range::all().from(b"a").until(b"a")).is_empty());
        assert!(!Stretch::of(b"p", &Range::all()).is_empty());
    }
}
