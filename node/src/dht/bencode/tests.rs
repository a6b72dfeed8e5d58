use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Value<'_>, BencodeError> {
    Value::parse(text.as_bytes())
}

#[test]
fn values_are_read_where_they_stand() {
    let value = parse("d1:ai-7e1:bl3:onei2ee1:c0:1:dd1:xi0eee").unwrap();
    assert_eq!(value.get_int(b"a"), Some(-7));
    let items: Vec<_> = value.get(b"b").unwrap().items().unwrap().map(|item| item.raw()).collect();
    assert_eq!(items, [&b"3:one"[..], b"i2e"]);
    assert_eq!(value.get_bytes(b"c"), Some(&b""[..]));
    assert_eq!(value.get(b"d").unwrap().get_int(b"x"), Some(0));
    assert_eq!(value.get(b"e"), None);
    assert_eq!((value.as_int(), value.as_bytes(), value.items().is_none()), (None, None, true));
}

#[test]
fn what_is_no_value_is_told_with_its_place() {
    use BencodeError::*;
    for (text, error) in [
        ("", Truncated),
        ("i", Truncated),
        ("i-", Truncated),
        ("i1", Truncated),
        ("5:four", Truncated),
        ("12", Truncated),
        ("li1e", Truncated),
        ("d1:a", Truncated),
        ("e", NoValue { offset: 0 }),
        ("lxe", NoValue { offset: 1 }),
        ("-1:", NoValue { offset: 0 }),
        ("ie", Number { offset: 0 }),
        ("i-e", Number { offset: 0 }),
        ("i1.5e", Number { offset: 0 }),
        ("l1xe", Number { offset: 1 }),
        ("9999999999:", Number { offset: 0 }),
        ("di1e1:ae", Key { offset: 1 }),
        ("dlei1ee", Key { offset: 1 }),
        ("d1:ae", KeyWithoutValue { offset: 4 }),
        ("i1ei2e", Trailing { offset: 3 }),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn what_can_be_written_otherwise_is_read_but_not_canonical() {
    use BencodeError::*;
    for (text, error) in [
        ("i-0e", Number { offset: 0 }),
        ("i00e", Number { offset: 0 }),
        ("li007ee", Number { offset: 1 }),
        ("01:a", Number { offset: 0 }),
        ("d1:bi1e1:ai2ee", Order { offset: 7 }),
        ("d1:ai1e1:ai2ee", Order { offset: 7 }),
        ("d1:ad1:bi1e1:ai2eee", Order { offset: 11 }),
    ] {
        let value = parse(text).unwrap();
        assert!(!value.is_canonical(), "{text}");
        assert_eq!(Value::parse_canonical(text.as_bytes()), Err(error), "{text}");
    }
    assert_eq!(parse("d1:ai1e1:ai2ee").unwrap().get_int(b"a"), Some(1));
    for text in ["i0e", "i-10e", "0:", "10:0123456789", "le", "de", "d0:i1e1:a0:2:aai1ee"] {
        assert!(parse(text).unwrap().is_canonical(), "{text}");
    }
}

#[test]
fn numbers_may_be_larger_than_ours() {
    assert_eq!(parse("i9223372036854775807e").unwrap().as_int(), Some(i64::MAX));
    assert_eq!(parse("i-9223372036854775808e").unwrap().as_int(), Some(i64::MIN));
    let larger = parse("i9223372036854775808e").unwrap();
    assert_eq!((larger.as_int(), larger.is_canonical()), (None, true));
}

#[test]
fn depth_has_an_end() {
    let nested = |depth: usize| format!("{}{}", "l".repeat(depth), "e".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(parse(&nested(DEPTH_MAX + 1)), Err(BencodeError::TooDeep));
    assert_eq!(parse(&"d1:a".repeat(10_000)), Err(BencodeError::TooDeep));
}

#[test]
#[should_panic(expected = "out of order")]
fn a_writer_refuses_keys_out_of_order() {
    Writer::new().dict(|dict| {
        dict.int(b"b", 1);
        dict.int(b"a", 1);
    });
}

/// A tree of values, to be written and read.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(Option<Box<Tree>>, Option<Box<Tree>>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Tree::Bytes)
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let maybe = || proptest::option::of(inner.clone().prop_map(Box::new));
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            (maybe(), maybe()).prop_map(|(a, b)| Tree::Dict(a, b)),
        ]
    })
}

fn write(tree: &Tree, out: &mut Writer) {
    match tree {
        Tree::Int(number) => out.int(*number),
        Tree::Bytes(bytes) => out.bytes(bytes),
        Tree::List(items) => out.list(|out| items.iter().for_each(|item| write(item, out))),
        Tree::Dict(a, b) => out.dict(|dict| {
            for (key, value) in [(&b"a"[..], a), (b"bb", b)] {
                if let Some(value) = value {
                    dict.entry(key, |out| write(value, out));
                }
            }
        }),
    }
}

fn read(value: Value<'_>) -> Tree {
    if let Some(number) = value.as_int() {
        Tree::Int(number)
    } else if let Some(bytes) = value.as_bytes() {
        Tree::Bytes(bytes.to_vec())
    } else if let Some(items) = value.items() {
        Tree::List(items.map(read).collect())
    } else {
        let read = |key| value.get(key).map(|value| Box::new(read(value)));
        Tree::Dict(read(b"a"), read(b"bb"))
    }
}

proptest! {
    #[test]
    fn what_is_written_is_canonical_and_read_as_it_was(tree in trees()) {
        let mut out = Writer::new();
        write(&tree, &mut out);
        let bytes = out.finish();
        let value = Value::parse_canonical(&bytes).unwrap();
        prop_assert_eq!(read(value), tree);
        // No shorter part of it is a value.
        for end in 0..bytes.len() {
            prop_assert!(Value::parse(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(
        prop_oneof![Just(b'd'), Just(b'l'), Just(b'i'), Just(b'e'), Just(b':'), Just(b'-'), b'0'..=b'9', any::<u8>()],
        0..200,
    )) {
        if let Ok(value) = Value::parse(&bytes) {
            prop_assert_eq!(value.raw(), &bytes[..]);
            let _ = (value.as_int(), value.as_bytes(), value.is_canonical());
            value.items().into_iter().flatten().for_each(|item| assert_ne!(item.raw(), b""));
            value.entries().into_iter().flatten().for_each(|(_, value)| assert_ne!(value.raw(), b""));
        }
    }
}
