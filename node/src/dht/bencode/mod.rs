//! Bencoding, as BEP 3 has it: reading borrows and allocates nothing, writing is canonical.
//!
//! Reading takes what others write, so dictionaries out of order and numbers with zeros in front too; a value that is
//! to be signed or stored is asked whether it [is canonical](Value::is_canonical), since others will write it anew.

mod scan;
mod writer;

use std::fmt;

pub use scan::{BencodeError, DEPTH_MAX};
pub use writer::{DictWriter, Writer};

use scan::{Head, Strictness, head, scan};

/// One whole, well-formed value, as its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// Reads all of `bytes` as one value.
    ///
    /// # Errors
    /// What is wrong and where, when it is no value, not whole, nested deeper than [`DEPTH_MAX`], or followed by more.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        Self::parse_with(bytes, Strictness::Lenient)
    }

    /// Reads all of `bytes` as one value, written in the only way there is.
    ///
    /// # Errors
    /// Those of [`Value::parse`], and where keys are not in order or twice, or numbers have zeros in front.
    pub fn parse_canonical(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        Self::parse_with(bytes, Strictness::Canonical)
    }

    fn parse_with(bytes: &'a [u8], strictness: Strictness) -> Result<Self, BencodeError> {
        let end = scan(bytes, strictness)?;
        if end == bytes.len() { Ok(Value(bytes)) } else { Err(BencodeError::Trailing { offset: end }) }
    }

    /// Its bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no other way to write it.
    pub fn is_canonical(&self) -> bool {
        scan(self.0, Strictness::Canonical).is_ok()
    }

    /// The content of a byte string.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match head(self.0, 0) {
            Ok(Head::Bytes { start, end, .. }) => Some(&self.0[start..end]),
            _ => None,
        }
    }

    /// A number, where it fits.
    pub fn as_int(&self) -> Option<i64> {
        match head(self.0, 0) {
            Ok(Head::Int { end, .. }) => std::str::from_utf8(&self.0[1..end - 1]).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn items(&self) -> Option<Items<'a>> {
        (self.0.first() == Some(&b'l')).then(|| Items(&self.0[1..self.0.len() - 1]))
    }

    /// The entries of a dictionary, in the order in which they were written.
    pub fn entries(&self) -> Option<Entries<'a>> {
        (self.0.first() == Some(&b'd')).then(|| Entries(Items(&self.0[1..self.0.len() - 1])))
    }

    /// A dictionary's value of this key: the first, where it is there twice.
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.entries()?.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The byte string of this key.
    pub fn get_bytes(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The number of this key.
    pub fn get_int(&self, key: &[u8]) -> Option<i64> {
        self.get(key)?.as_int()
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The values of a list.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.0.is_empty() {
            return None;
        }
        // What is inside of a value was looked at with it.
        let end = scan(self.0, Strictness::Lenient).ok()?;
        let (value, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Value(value))
    }
}

/// The entries of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?.as_bytes()?, self.0.next()?))
    }
}

#[cfg(test)]
mod tests;
