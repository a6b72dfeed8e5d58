//! Command-line front.
fn main() {}
