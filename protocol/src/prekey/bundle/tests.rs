//! Bundles that hostile devices sign, and their bounds.
