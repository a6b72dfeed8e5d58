//! Any bytes as a bencoded value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_node::dht::bencode::{Value, Writer};
use relay_node::dht::krpc::{Body, Message};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::parse(bytes) {
        assert_eq!(value.raw(), bytes);
        if value.is_canonical() {
            let mut out = Writer::new();
            write(value, &mut out);
            assert_eq!(out.finish(), bytes);
        }
    }
    // The text of an error is cut, so that it may be read differently the second time.
    if let Ok(message) = Message::decode(bytes)
        && !matches!(message.body, Body::Error(_))
    {
        let again = message.encode();
        assert_eq!(Message::decode(&again).as_ref(), Ok(&message));
    }
});

/// Writes a value anew. Dictionaries are copied: keys to be written are literals.
fn write(value: Value<'_>, out: &mut Writer) {
    if let Some(bytes) = value.as_bytes() {
        out.bytes(bytes);
    } else if let Some(number) = value.as_int() {
        out.int(number);
    } else if let Some(items) = value.items() {
        out.list(|out| items.for_each(|item| write(item, out)));
    } else {
        let _ = value.entries().map(Iterator::count);
        out.value(value);
    }
}
