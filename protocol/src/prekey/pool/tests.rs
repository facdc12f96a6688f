//! Rotation and retention.
