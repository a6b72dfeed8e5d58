//! A checksum of each row, as a function of SQL: `row_seal(a, b, …)`. What a disk has changed in a value no longer fits it.
//!
//! Against accidents only: whoever can write the file can write the seal.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): any one byte that differs makes it differ.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Lets a connection use tables whose rows are sealed.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // Innocuous: tables may use it although the schema is not trusted.
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let any_number = -1;
    connection.create_scalar_function("row_seal", any_number, flags, |values| Ok(seal(values)))
}

fn seal(values: &Context<'_>) -> i64 {
    let mut hash = OFFSET_BASIS;
    for column in 0..values.len() {
        add(&mut hash, values.get_raw(column));
    }
    hash.cast_signed()
}

/// Type and length go first, so that nothing moves from one column to the next.
fn add(hash: &mut u64, value: ValueRef<'_>) {
    let mut mix = |bytes: &[u8]| {
        for byte in bytes {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    };
    match value {
        ValueRef::Null => mix(b"n"),
        ValueRef::Integer(number) => {
            mix(b"i");
            mix(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            mix(b"r");
            mix(&number.to_bits().to_le_bytes());
        }
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            mix(b"t");
            mix(&(bytes.len() as u64).to_le_bytes());
            mix(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(values: &str) -> i64 {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection.query_row(&format!("SELECT row_seal({values})"), (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_value_and_every_border_counts() {
        let seals = [
            "'a', 'bc'",
            "'ab', 'c'",
            "'abc', NULL",
            "'abc'",
            "'abd'",
            "97",
            "'a'",
            "NULL",
            "''",
            "1.0",
            "1",
        ];
        let found: std::collections::BTreeSet<i64> = seals.iter().map(|values| sealed(values)).collect();
        assert_eq!(found.len(), seals.len());
    }

    #[test]
    fn a_seal_is_the_same_for_ever() {
        // FNV-1a of `i`, then a one in eight bytes: it is on disks.
        assert_eq!(sealed("1"), sealed("1"));
        assert_eq!(sealed("NULL"), (OFFSET_BASIS ^ u64::from(b'n')).wrapping_mul(PRIME).cast_signed());
    }
}
