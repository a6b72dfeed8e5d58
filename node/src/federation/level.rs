//! How full a bounded table is, for metrics.

/// A table or queue, how much is in it, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name in metrics.
    pub table: &'static str,
    /// What is in it: entries, or bytes where the name says so.
    pub entries: usize,
    /// What may be in it.
    pub limit: usize,
}

impl Level {
    /// A table with so many entries of so many.
    pub const fn new(table: &'static str, entries: usize, limit: usize) -> Self {
        Level { table, entries, limit }
    }
}
