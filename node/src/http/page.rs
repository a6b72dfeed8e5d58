//! Which part of a long list is asked for: `?after=ID&limit=N`.

use std::fmt::Display;
use std::str::FromStr;

/// Entries on one page: as many as are asked for, at most and by default so many.
pub(super) const PAGE_ENTRIES_MAX: usize = 1_000;

/// A page of a list that is sorted by id.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    /// Those behind this one.
    pub(super) after: Option<T>,
    /// At most so many.
    pub(super) limit: usize,
}

impl<T: FromStr<Err: Display>> Page<T> {
    /// What a query asks for. No id has a character that a URL would have to escape.
    ///
    /// # Errors
    /// In words, what of it says nothing.
    pub(super) fn of(query: &str) -> Result<Self, String> {
        let mut page = Page { after: None, limit: PAGE_ENTRIES_MAX };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("after", id)) => {
                    page.after = Some(id.parse().map_err(|error| format!("`after`: {error}"))?);
                }
                Some(("limit", number)) => {
                    let limit = number.parse().ok().filter(|limit| (1..=PAGE_ENTRIES_MAX).contains(limit));
                    page.limit = limit.ok_or_else(|| {
                        format!("`limit` is `{number}`; expected a number from 1 to {PAGE_ENTRIES_MAX}")
                    })?;
                }
                _ => return Err(format!("`{pair}` says nothing here; expected `after=ID` and `limit=N`")),
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::NodeId;

    fn page(query: &str) -> Result<Page<NodeId>, String> {
        Page::of(query)
    }

    #[test]
    fn a_query_names_a_page() {
        let all = Page { after: None, limit: PAGE_ENTRIES_MAX };
        assert_eq!(page(""), Ok(all));
        let some = Page { after: Some("alice.home".parse().unwrap()), limit: 2 };
        assert_eq!(page("limit=2&after=alice.home"), Ok(some));
    }

    #[test]
    fn a_query_that_names_none_is_refused_in_words() {
        for (query, words) in [
            ("limit=0", "`limit` is `0`; expected a number from 1 to 1000"),
            ("limit=1001", "`limit` is `1001`"),
            ("limit=many", "`limit` is `many`"),
            ("after=", "`after`: "),
            ("after=a%20b", "`after`: "),
            ("before=a", "`before=a` says nothing here"),
            ("limit", "`limit` says nothing here"),
        ] {
            let refusal = page(query).unwrap_err();
            assert!(refusal.contains(words), "{query}: {refusal}");
        }
    }
}
