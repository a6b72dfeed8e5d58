//! What a stranger signs in place of its metadata.
//!
//! An input that begins with `@` is what the byte string holds: its length need not be guessed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_node::dht::OWN_VALUE_BYTES_MAX;
use relay_node::dht::bencode::{Value, Writer};
use relay_node::metadata::Metadata;

fuzz_target!(|input: &[u8]| {
    let value = match input.split_first() {
        Some((b'@', inner)) => {
            let mut out = Writer::new();
            out.bytes(inner);
            out.finish()
        }
        _ => input.to_vec(),
    };
    let Ok(metadata) = Metadata::decode(&value) else { return };
    // What was read can be written, takes no more room then, and is the same when it is read again.
    let again = metadata.encode().expect("what was read is within its limits");
    assert!(again.len() <= value.len(), "{metadata:?}");
    assert!(
        Value::parse_canonical(&again)
            .is_ok_and(|value| { value.as_bytes().is_some_and(|inner| inner.len() <= OWN_VALUE_BYTES_MAX) })
    );
    assert_eq!(Metadata::decode(&again).as_ref(), Ok(&metadata));
    assert!(metadata.to_json().is_object());
    let _ = metadata.is_connectable();
});
