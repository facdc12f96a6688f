//! Extensions: what later versions add without breaking this one, or to break it on purpose.

use super::{Error, at_most};
use crate::{limits, proto};

/// One extension: a type, whether a reader that does not know it must refuse, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Which extension this is.
    pub kind: u32,
    /// Whether a reader that does not know the type must refuse the whole message.
    pub critical: bool,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The extensions of one message: in ascending order of type, none twice, every critical one known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<Extension>);

impl Extensions {
    /// Checks what came with a message; `known` are the types this reader understands in it. Unknown ones that are not
    /// critical are kept, so that forwarding and re-encoding lose nothing.
    pub(crate) fn from_wire(list: Vec<proto::wire::Extension>, known: &[u32]) -> Result<Self, Error> {
        at_most(&list, limits::EXTENSIONS_MAX)?;
        let list: Vec<_> =
            list.into_iter().map(|e| Extension { kind: e.r#type, critical: e.critical, bytes: e.bytes }).collect();
        if !list.is_sorted_by(|a, b| a.kind < b.kind) {
            return Err(Error::NotCanonical);
        }
        match list.iter().find(|e| e.critical && !known.contains(&e.kind)) {
            Some(unknown) => Err(Error::UnknownCritical(unknown.kind)),
            None => Ok(Self(list)),
        }
    }

    /// Gives the wire form.
    pub(crate) fn to_wire(&self) -> Vec<proto::wire::Extension> {
        let wire =
            |e: &Extension| proto::wire::Extension { r#type: e.kind, critical: e.critical, bytes: e.bytes.clone() };
        self.0.iter().map(wire).collect()
    }

    /// Finds the bytes of a type.
    pub fn get(&self, kind: u32) -> Option<&[u8]> {
        self.0.iter().find(|e| e.kind == kind).map(|e| e.bytes.as_slice())
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(kind: u32, critical: bool) -> proto::wire::Extension {
        proto::wire::Extension { r#type: kind, critical, bytes: vec![1] }
    }

    #[test]
    fn r_wire_5_unknown_critical_extension_refuses_and_unknown_other_one_is_kept() {
        assert_eq!(Extensions::from_wire(vec![wire(7, true)], &[]), Err(Error::UnknownCritical(7)));
        assert!(Extensions::from_wire(vec![wire(7, true)], &[7]).is_ok());
        let kept = Extensions::from_wire(vec![wire(7, false), wire(9, false)], &[]).unwrap();
        assert_eq!(kept.to_wire(), vec![wire(7, false), wire(9, false)]);
        assert_eq!(kept.get(9), Some([1].as_slice()));
    }

    #[test]
    fn r_wire_5_extensions_twice_out_of_order_or_too_many_are_refused() {
        for list in [vec![wire(7, false), wire(7, false)], vec![wire(9, false), wire(7, false)]] {
            assert_eq!(Extensions::from_wire(list, &[]), Err(Error::NotCanonical));
        }
        let many = (0..).take(limits::EXTENSIONS_MAX + 1).map(|kind| wire(kind, false)).collect();
        assert_eq!(Extensions::from_wire(many, &[]), Err(Error::TooMany { max: limits::EXTENSIONS_MAX }));
    }
}
