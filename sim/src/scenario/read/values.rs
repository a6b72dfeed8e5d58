//! How each type is read from a TOML value.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{Bandwidth, ByteSize, Drift, Offset, QuantityError, Rate, Share};
use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::shape::Shape;
use super::table::{FromToml, Wrong, kind_in_words};

/// Names or patterns: a string, or a list of them.
pub(super) struct Names(pub(super) Vec<Spanned<String>>);

/// A number, with a point or without.
pub(super) struct Number(pub(super) f64);

/// A list of rates.
pub(super) struct Rates(pub(super) Vec<Spanned<Rate>>);

/// Error codes.
pub(super) struct Codes(pub(super) Vec<i64>);

/// What a message costs a host's CPU: `100us per message`.
pub(super) struct CpuCost(pub(super) Duration);

/// What a sync costs a host's disk: `2ms per sync`.
pub(super) struct SyncCost(pub(super) Duration);

/// The most that a message or a sync may cost: above it a relay does little but wait.
pub(super) const MAX_COST: Duration = Duration::from_secs(1);

/// A fixed answer for each method.
pub(super) struct Answers(pub(super) BTreeMap<String, Value>);

impl FromToml for String {
    fn shape() -> Shape {
        Shape::Text
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<String, Wrong> {
        text(value, "a string").map(str::to_owned)
    }
}

impl FromToml for bool {
    fn shape() -> Shape {
        Shape::Flag
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<bool, Wrong> {
        value.get_ref().as_bool().ok_or_else(|| Wrong::kind(value.get_ref(), "true or false"))
    }
}

impl FromToml for u64 {
    fn shape() -> Shape {
        Shape::Integer
    }

    /// TOML's whole numbers end at 2^63.
    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<u64, Wrong> {
        let expected = "a whole number from 0 to 2^63 - 1";
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(Wrong::kind(value.get_ref(), expected));
        };
        i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|it| u64::try_from(it).ok())
            .ok_or_else(|| Wrong {
                problem: format!("{number} is out of range"),
                expected: expected.to_owned(),
                span: None,
            })
    }
}

impl FromToml for i64 {
    fn shape() -> Shape {
        Shape::Integer
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<i64, Wrong> {
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(Wrong::kind(value.get_ref(), "a whole number"));
        };
        i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| Wrong {
            problem: format!("{number} is out of range"),
            expected: "a whole number of 64 bits".to_owned(),
            span: None,
        })
    }
}

impl FromToml for Codes {
    fn shape() -> Shape {
        Shape::Integers
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Codes, Wrong> {
        let expected = "a list of error codes, such as [-32003, -32007]";
        let DeValue::Array(items) = value.get_ref() else {
            return Err(Wrong::kind(value.get_ref(), expected));
        };
        let one = |item: &Spanned<DeValue<'_>>| {
            i64::from_toml(item).map_err(|wrong| Wrong {
                span: Some(item.span()),
                expected: expected.into(),
                ..wrong
            })
        };
        items.iter().map(one).collect::<Result<_, Wrong>>().map(Codes)
    }
}

impl FromToml for Number {
    fn shape() -> Shape {
        Shape::Number
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Number, Wrong> {
        let number = match value.get_ref() {
            DeValue::Integer(_) => i64::from_toml(value)? as f64,
            DeValue::Float(number) => number.as_str().replace('_', "").parse().unwrap_or(f64::NAN),
            other => return Err(Wrong::kind(other, "a number")),
        };
        match number.is_finite() {
            true => Ok(Number(number)),
            false => Err(Wrong {
                problem: "this is no number that anything can be compared with".to_owned(),
                expected: "a number".to_owned(),
                span: None,
            }),
        }
    }
}

impl FromToml for Rates {
    fn shape() -> Shape {
        Shape::Texts
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Rates, Wrong> {
        let expected = "a list of rates, such as [\"10/s\", \"20/s\"]";
        let DeValue::Array(items) = value.get_ref() else {
            return Err(Wrong::kind(value.get_ref(), expected));
        };
        let one = |item: &Spanned<DeValue<'_>>| {
            let rate = Rate::from_toml(item).map_err(|wrong| Wrong { span: Some(item.span()), ..wrong })?;
            Ok(Spanned::new(item.span(), rate))
        };
        items.iter().map(one).collect::<Result<_, Wrong>>().map(Rates)
    }
}

impl FromToml for u32 {
    fn shape() -> Shape {
        Shape::Integer
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<u32, Wrong> {
        let number = u64::from_toml(value)?;
        u32::try_from(number).map_err(|_| Wrong {
            problem: format!("{number} is out of range"),
            expected: "a whole number below 2^32".to_owned(),
            span: None,
        })
    }
}

impl FromToml for Duration {
    fn shape() -> Shape {
        Shape::Quantity(&["90s", "1m30s", "20ms"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Duration, Wrong> {
        quantity(value, "a duration in quotes, such as \"90s\" or \"20ms\"", duration::parse)
    }
}

impl FromToml for CpuCost {
    fn shape() -> Shape {
        Shape::Quantity(&["100us per message"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<CpuCost, Wrong> {
        cost(value, "per message", "a cost in quotes, such as \"100us per message\"").map(CpuCost)
    }
}

impl FromToml for SyncCost {
    fn shape() -> Shape {
        Shape::Quantity(&["2ms per sync"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<SyncCost, Wrong> {
        cost(value, "per sync", "a cost in quotes, such as \"2ms per sync\"").map(SyncCost)
    }
}

/// A cost of at most [`MAX_COST`] and what it is for.
fn cost(value: &Spanned<DeValue<'_>>, per: &str, expected: &str) -> Result<Duration, Wrong> {
    let wrong = |problem: String| Wrong { problem, expected: expected.to_owned(), span: None };
    let text = text(value, expected)?;
    let Some(cost) = text.trim().strip_suffix(per) else {
        return Err(wrong(format!("\"{text}\" does not say what it is for")));
    };
    let cost = duration::parse(cost).map_err(|error| wrong(error.problem))?;
    match cost <= MAX_COST {
        true => Ok(cost),
        false => Err(wrong(format!("\"{text}\" is more than {} {per}", duration::format(MAX_COST)))),
    }
}

impl FromToml for Offset {
    fn shape() -> Shape {
        Shape::Quantity(&["-90s", "+5m"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Offset, Wrong> {
        quantity(value, "an offset in quotes, such as \"-90s\" or \"+5m\"", str::parse)
    }
}

impl FromToml for Drift {
    fn shape() -> Shape {
        Shape::Quantity(&["200ppm", "-1%"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Drift, Wrong> {
        quantity(value, "a drift in quotes, such as \"200ppm\" or \"-1%\"", str::parse)
    }
}

impl FromToml for Rate {
    fn shape() -> Shape {
        Shape::Quantity(&["1/s", "6/m", "1 per 10s"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Rate, Wrong> {
        quantity(value, "a rate in quotes, such as \"1/s\" or \"1 per 10s\"", str::parse)
    }
}

impl FromToml for Bandwidth {
    fn shape() -> Shape {
        Shape::Quantity(&["100Mbit/s"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Bandwidth, Wrong> {
        quantity(value, "a bandwidth in quotes, such as \"100Mbit/s\"", str::parse)
    }
}

impl FromToml for ByteSize {
    fn shape() -> Shape {
        Shape::Quantity(&["64B", "4KiB"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<ByteSize, Wrong> {
        quantity(value, "a size in quotes, such as \"64B\" or \"4KiB\"", str::parse)
    }
}

impl FromToml for Share {
    fn shape() -> Shape {
        Shape::Quantity(&["0.1%", "100%"])
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Share, Wrong> {
        quantity(value, "a share in quotes, such as \"0.1%\"", str::parse)
    }
}

impl FromToml for Names {
    fn shape() -> Shape {
        Shape::Names
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Names, Wrong> {
        let expected = "a name in quotes, or a list of them";
        let one =
            |item: &Spanned<DeValue<'_>>| Ok(Spanned::new(item.span(), text(item, expected)?.to_owned()));
        let names = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(one).collect::<Result<_, Wrong>>()?,
            _ => vec![one(value)?],
        };
        Ok(Names(names))
    }
}

impl FromToml for Answers {
    fn shape() -> Shape {
        Shape::Map
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Answers, Wrong> {
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(Wrong::kind(value.get_ref(), "a table: method = answer"));
        };
        let answers =
            entries.iter().map(|(method, answer)| Ok((method.get_ref().to_string(), json(answer)?)));
        answers.collect::<Result<_, Wrong>>().map(Answers)
    }
}

fn text<'a>(value: &'a Spanned<DeValue<'_>>, expected: &str) -> Result<&'a str, Wrong> {
    let text = value.get_ref().as_str();
    text.ok_or_else(|| Wrong { span: Some(value.span()), ..Wrong::kind(value.get_ref(), expected) })
}

fn quantity<T>(
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    parse: impl Fn(&str) -> Result<T, QuantityError>,
) -> Result<T, Wrong> {
    parse(text(value, expected)?).map_err(|QuantityError { problem, expected }| Wrong {
        problem,
        expected: expected.to_owned(),
        span: None,
    })
}

/// The same value in JSON. Dates become strings.
fn json(value: &Spanned<DeValue<'_>>) -> Result<Value, Wrong> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(it) => Value::Bool(*it),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map(Value::from).map_err(|_| not_json(value.get_ref(), value.span()))?
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| not_json(value.get_ref(), value.span()))?
        }
        DeValue::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, Wrong>>()?),
        DeValue::Table(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.get_ref().to_string(), json(value)?)));
            Value::Object(entries.collect::<Result<_, Wrong>>()?)
        }
    })
}

fn not_json(value: &DeValue<'_>, span: Range<usize>) -> Wrong {
    Wrong {
        problem: format!("{} that JSON has no words for", kind_in_words(value)),
        expected: "a value that JSON can hold".to_owned(),
        span: Some(span),
    }
}
