//! See the crate description; filled in the commits that follow.
