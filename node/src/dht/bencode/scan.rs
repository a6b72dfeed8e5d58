//! Finds where a bencoded value ends, and whether it is one. No recursion: the depth is a number, not our stack.

/// How deep lists and dictionaries may be nested.
pub const DEPTH_MAX: usize = 32;

/// Digits of a byte string's length that are looked at, at most: more would be longer than any message.
const LENGTH_DIGITS_MAX: usize = 9;

/// Why bytes are no bencoded value. Offsets count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BencodeError {
    /// It ends before it is whole.
    #[error("it ends before it is whole")]
    Truncated,
    /// There is no value here.
    #[error("no value begins at byte {offset}")]
    NoValue {
        /// Where.
        offset: usize,
    },
    /// A number or a length is written wrongly.
    #[error("the number at byte {offset} is written wrongly")]
    Number {
        /// Where.
        offset: usize,
    },
    /// A dictionary's key is no byte string.
    #[error("the key at byte {offset} is no byte string")]
    Key {
        /// Where.
        offset: usize,
    },
    /// A dictionary's key has no value.
    #[error("the dictionary that ends at byte {offset} has a key without a value")]
    KeyWithoutValue {
        /// Where.
        offset: usize,
    },
    /// A key is not greater than the one before it.
    #[error("the key at byte {offset} is out of order")]
    Order {
        /// Where.
        offset: usize,
    },
    /// Nested too deep.
    #[error("it is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// There is more after the value.
    #[error("there is more after the value, from byte {offset} on")]
    Trailing {
        /// Where.
        offset: usize,
    },
}

/// What is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Keys in any order, zeros in front of numbers.
    Lenient,
    /// Only what could not have been written in another way.
    Canonical,
}

/// What begins at a byte.
pub(super) enum Head {
    Int { end: usize, canonical: bool },
    Bytes { start: usize, end: usize, canonical: bool },
    List,
    Dict,
    End,
}

/// A list or dictionary that is not closed yet.
#[derive(Clone, Copy)]
enum Open {
    List,
    /// The key before, as a range.
    Key {
        last: Option<(usize, usize)>,
    },
    /// The key whose value comes next.
    Value {
        key: (usize, usize),
    },
}

/// The end of the value that begins at the first byte.
pub(super) fn scan(bytes: &[u8], strictness: Strictness) -> Result<usize, BencodeError> {
    let strict = strictness == Strictness::Canonical;
    let mut stack = [Open::List; DEPTH_MAX];
    let (mut depth, mut at) = (0, 0);
    loop {
        let offset = at;
        let head = head(bytes, at)?;
        let is_key = depth > 0 && matches!(stack[depth - 1], Open::Key { .. });
        match head {
            Head::Int { .. } | Head::List | Head::Dict if is_key => return Err(BencodeError::Key { offset }),
            Head::Int { canonical: false, .. } | Head::Bytes { canonical: false, .. } if strict => {
                return Err(BencodeError::Number { offset });
            }
            Head::Int { end, .. } => at = end,
            Head::Bytes { start, end, .. } => {
                at = end;
                if let Some(Open::Key { last }) = stack[..depth].last().copied() {
                    let in_order = last.is_none_or(|(from, to)| bytes[from..to] < bytes[start..end]);
                    if strict && !in_order {
                        return Err(BencodeError::Order { offset });
                    }
                    stack[depth - 1] = Open::Value { key: (start, end) };
                    continue;
                }
            }
            Head::List | Head::Dict => {
                let open = if matches!(head, Head::List) { Open::List } else { Open::Key { last: None } };
                *stack.get_mut(depth).ok_or(BencodeError::TooDeep)? = open;
                depth += 1;
                at += 1;
                continue;
            }
            Head::End => {
                match stack[..depth].last() {
                    None => return Err(BencodeError::NoValue { offset }),
                    Some(Open::Value { .. }) => return Err(BencodeError::KeyWithoutValue { offset }),
                    Some(_) => {}
                }
                depth -= 1;
                at += 1;
            }
        }
        // A value ends here.
        match stack[..depth].last().copied() {
            None => return Ok(at),
            Some(Open::Value { key }) => stack[depth - 1] = Open::Key { last: Some(key) },
            Some(_) => {}
        }
    }
}

/// What begins at `at`.
pub(super) fn head(bytes: &[u8], at: usize) -> Result<Head, BencodeError> {
    match bytes.get(at).ok_or(BencodeError::Truncated)? {
        b'l' => Ok(Head::List),
        b'd' => Ok(Head::Dict),
        b'e' => Ok(Head::End),
        b'i' => int(bytes, at),
        b'0'..=b'9' => byte_string(bytes, at),
        _ => Err(BencodeError::NoValue { offset: at }),
    }
}

fn int(bytes: &[u8], at: usize) -> Result<Head, BencodeError> {
    let wrong = BencodeError::Number { offset: at };
    let negative = bytes.get(at + 1) == Some(&b'-');
    let first = at + 1 + usize::from(negative);
    let digits = bytes[first.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(first + digits) {
        None => Err(BencodeError::Truncated),
        Some(b'e') if digits > 0 => {
            let zero_in_front = bytes[first] == b'0' && (digits > 1 || negative);
            Ok(Head::Int { end: first + digits + 1, canonical: !zero_in_front })
        }
        Some(_) => Err(wrong),
    }
}

fn byte_string(bytes: &[u8], at: usize) -> Result<Head, BencodeError> {
    let wrong = BencodeError::Number { offset: at };
    let digits =
        bytes[at..].iter().take(LENGTH_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > LENGTH_DIGITS_MAX {
        return Err(wrong);
    }
    match bytes.get(at + digits) {
        None => return Err(BencodeError::Truncated),
        Some(b':') => {}
        Some(_) => return Err(wrong),
    }
    let length =
        bytes[at..at + digits].iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
    let start = at + digits + 1;
    let end = start + length;
    if end > bytes.len() {
        return Err(BencodeError::Truncated);
    }
    Ok(Head::Bytes { start, end, canonical: digits == 1 || bytes[at] != b'0' })
}
