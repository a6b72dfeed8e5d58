//! `[operator]`.

use std::time::Duration;

use super::settings::require_positive;
use super::table::Table;

/// How often each Main's operator changes something, where there are operators.
pub(super) fn read(file: &mut Table<'_>) -> Option<Duration> {
    let mut operator = file.table("operator", "[operator]")?;
    let every = require_positive(&mut operator, "every");
    operator.finish();
    every
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::scenario::Scenario;

    #[test]
    fn operators_are_asked_for() {
        let load = |text: &str| Scenario::load("test.toml", &format!("{text}\n[[main]]\nname = \"main\"\n"));
        assert_eq!(load("").unwrap().run.operator_every, None);
        let every = load("[operator]\nevery = \"30s\"").unwrap().run.operator_every;
        assert_eq!(every, Some(Duration::from_secs(30)));
        for wrong in ["[operator]", "[operator]\nevery = \"0s\"", "[operator]\nevery = \"1s\"\nmood = 1"] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }
}
