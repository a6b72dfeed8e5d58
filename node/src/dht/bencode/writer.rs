//! Writes values in the one way that is canonical.

use super::Value;

/// Writes one value, or in a list one after the other.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// One that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.push(b':');
        self.0.extend_from_slice(bytes);
    }

    /// A number.
    pub fn int(&mut self, number: i64) {
        self.0.push(b'i');
        self.0.extend_from_slice(number.to_string().as_bytes());
        self.0.push(b'e');
    }

    /// A value as it was written before.
    pub fn value(&mut self, value: Value<'_>) {
        self.0.extend_from_slice(value.raw());
    }

    /// A list of what `write` writes.
    pub fn list(&mut self, write: impl FnOnce(&mut Writer)) {
        self.0.push(b'l');
        write(self);
        self.0.push(b'e');
    }

    /// A dictionary of what `write` writes.
    pub fn dict(&mut self, write: impl FnOnce(&mut DictWriter<'_>)) {
        self.0.push(b'd');
        write(&mut DictWriter { out: self, last: None });
        self.0.push(b'e');
    }

    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(number.to_string().as_bytes());
    }
}

/// Writes the entries of a dictionary. Keys come in ascending order, each once: a debug build panics otherwise.
#[derive(Debug)]
pub struct DictWriter<'w> {
    out: &'w mut Writer,
    last: Option<&'static [u8]>,
}

impl DictWriter<'_> {
    /// A key with what `write` writes: exactly one value.
    pub fn entry(&mut self, key: &'static [u8], write: impl FnOnce(&mut Writer)) {
        debug_assert!(self.last < Some(key), "key {} is out of order", key.escape_ascii());
        self.last = Some(key);
        self.out.bytes(key);
        write(self.out);
    }

    /// A key with a byte string.
    pub fn bytes(&mut self, key: &'static [u8], bytes: &[u8]) {
        self.entry(key, |out| out.bytes(bytes));
    }

    /// A key with a number.
    pub fn int(&mut self, key: &'static [u8], number: i64) {
        self.entry(key, |out| out.int(number));
    }
}
