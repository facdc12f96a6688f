//! A Merkle tree of the shape of RFC 9162 (RFC 6962's successor) section 2.1 under our own labels. Must not know what its
//! leaves stand for.

use crate::{crypto::label, wire::Transcript};

/// A hash in the tree: of a leaf, an inner node or the root.
pub(super) type Hash = [u8; 32];

/// Every level of a tree, the leaves first. A node without a neighbour stands on the next level unchanged.
pub(super) struct Tree(Vec<Vec<Hash>>);

impl Tree {
    /// Builds over the hashes of the leaves.
    pub(super) fn build(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below
                .chunks(2)
                .filter_map(|pair| match pair {
                    [left, right] => Some(node(left, right)),
                    [alone] => Some(*alone),
                    _ => None,
                })
                .collect();
            levels.push(above);
        }
        Self(levels)
    }

    /// Returns the root, which binds the number of leaves; nothing for a tree without any.
    pub(super) fn root(&self) -> Option<Hash> {
        let count = u32::try_from(self.0.first()?.len()).ok()?;
        Some(root(count, self.0.last()?.first()?))
    }

    /// Lists the neighbours on the way from a leaf to the root, from the bottom up.
    pub(super) fn proof(&self, index: u32) -> Vec<Hash> {
        let mut at = index as usize;
        let mut proof = Vec::new();
        for level in &self.0 {
            proof.extend(level.get(at ^ 1));
            at /= 2;
        }
        proof
    }
}

/// Says whether the leaf stands at a place of a tree of so many leaves with this root, by exactly the neighbours it has
/// there.
pub(super) fn is_at(leaf: &Hash, proof: &[Hash], index: u32, count: u32, expected: &Hash) -> bool {
    if index >= count {
        return false;
    }
    let (mut at, mut last) = (index, count - 1);
    let mut neighbours = proof.iter();
    let mut hash = *leaf;
    while last > 0 {
        // The last node of a level of odd length has no neighbour.
        if at % 2 == 1 || at < last {
            let Some(neighbour) = neighbours.next() else { return false };
            hash = if at % 2 == 1 { node(neighbour, &hash) } else { node(&hash, neighbour) };
        }
        (at, last) = (at / 2, last / 2);
    }
    neighbours.next().is_none() && root(count, &hash) == *expected
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Transcript::new(label::REKEY_NODE).field(left).field(right).sha256()
}

fn root(count: u32, top: &Hash) -> Hash {
    Transcript::new(label::REKEY_ROOT).u32(count).field(top).sha256()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|n| Transcript::new("kith/v1/test").u32(n).sha256()).collect()
    }

    /// The root as RFC 9162 section 2.1.1 defines it: split at the largest power of two below the count.
    fn by_the_text(leaves: &[Hash]) -> Hash {
        match leaves {
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&by_the_text(left), &by_the_text(right))
            }
        }
    }

    #[test]
    fn r_blob_2_every_leaf_of_trees_of_1_to_33_leaves_stands_at_its_place_and_at_no_other() {
        let mut roots = std::collections::BTreeSet::new();
        for count in 1..=33 {
            let leaves = leaves(count);
            let tree = Tree::build(leaves.clone());
            let top = tree.root().unwrap();
            assert_eq!(top, root(count, &by_the_text(&leaves)), "{count}");
            assert!(roots.insert(top));
            for (index, leaf) in (0..).zip(&leaves) {
                let proof = tree.proof(index);
                for other in 0..=count + 1 {
                    assert_eq!(
                        is_at(leaf, &proof, other, count, &top),
                        other == index,
                        "{index} at {other} of {count}"
                    );
                }
                for other in (0..70).filter(|other| *other != count) {
                    assert!(!is_at(leaf, &proof, index, other, &top), "{index} of {count} in {other}");
                }
            }
        }
    }

    #[test]
    fn r_blob_2_shortened_lengthened_and_reordered_proofs_are_refused() {
        for count in [2, 3, 7, 8, 9, 33] {
            let tree = Tree::build(leaves(count));
            let top = tree.root().unwrap();
            for (index, leaf) in (0..).zip(&leaves(count)) {
                let proof = tree.proof(index);
                let refused = |proof: &[Hash]| assert!(!is_at(leaf, proof, index, count, &top), "{index} of {count}");
                refused(&proof[1..]);
                refused(&proof[..proof.len() - 1]);
                refused(&[&proof[..], &[[0; 32]]].concat());
                refused(&[&[*leaf], &proof[..]].concat());
                if proof.len() > 1 {
                    let mut swapped = proof.clone();
                    swapped.swap(0, 1);
                    refused(&swapped);
                }
                for at in 0..proof.len() {
                    let mut bent = proof.clone();
                    bent[at][31] ^= 1;
                    refused(&bent);
                }
            }
        }
    }

    #[test]
    fn r_blob_2_inner_node_passes_for_no_leaf() {
        // Over hashes alone a tree cannot tell a node from a leaf; the number of leaves, which the root binds, can, and a
        // leaf is the hash of an item under a label of its own.
        let leaves = leaves(4);
        let tree = Tree::build(leaves.clone());
        let top = tree.root().unwrap();
        let (left, right) = (node(&leaves[0], &leaves[1]), node(&leaves[2], &leaves[3]));
        for count in 1..=8 {
            for index in 0..count {
                assert!(!is_at(&left, &[right], index, count, &top), "{index} of {count}");
            }
        }
        assert_ne!(Tree::build(vec![left, right]).root(), tree.root());
        assert_ne!(node(&leaves[0], &leaves[1]), root(1, &leaves[0]));
    }

    #[test]
    fn r_blob_5_the_largest_tree_is_14_deep() {
        let count = crate::limits::REKEY_RECIPIENTS_MAX as u32;
        let leaves = leaves(count);
        let tree = Tree::build(leaves.clone());
        let top = tree.root().unwrap();
        let proofs: Vec<_> = (0..count).map(|index| tree.proof(index)).collect();
        assert_eq!(proofs.iter().map(Vec::len).max(), Some(crate::limits::REKEY_PROOF_MAX));
        for index in (0..count).step_by(97).chain([count - 1]) {
            assert!(is_at(&leaves[index as usize], &proofs[index as usize], index, count, &top));
            assert!(!is_at(&leaves[index as usize], &proofs[index as usize], index ^ 1, count, &top));
        }
        assert_eq!(Tree::build(Vec::new()).root(), None);
    }
}
