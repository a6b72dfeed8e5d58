//! The federation node.
//!
//! Read in this order: [`env`] is what a node needs of the world it runs in.

pub mod env;
