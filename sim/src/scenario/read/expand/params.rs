//! `[params]`: values that a file names once, and that the command line may set.

use std::collections::BTreeMap;
use std::ops::Range;

use relay_chaos::quantity::duration;
use relay_chaos::{Bandwidth, ByteSize, Rate, Share};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::super::parts::Parameter;
use super::super::table::{Table, kind_in_words};
use super::Setting;

/// What begins a reference to a parameter, in any string.
const OPEN: &str = "${";

/// What the value of a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Integer,
    Number,
    Boolean,
    Text,
    Duration,
    Rate,
    Share,
    Size,
    Bandwidth,
}

const TYPES: [(&str, Type); 9] = [
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("text", Type::Text),
    ("duration", Type::Duration),
    ("rate", Type::Rate),
    ("share", Type::Share),
    ("size", Type::Size),
    ("bandwidth", Type::Bandwidth),
];

impl Type {
    /// What to expect, in words.
    const fn words(self) -> &'static str {
        match self {
            Type::Integer => "a whole number",
            Type::Number => "a number",
            Type::Boolean => "true or false",
            Type::Text => "a text",
            Type::Duration => "a duration, such as 90s",
            Type::Rate => "a rate, such as 1/s",
            Type::Share => "a share, such as 0.1%",
            Type::Size => "a size, such as 4KiB",
            Type::Bandwidth => "a bandwidth, such as 100Mbit/s",
        }
    }

    /// The type that a value has by itself.
    fn of(value: &DeValue<'_>) -> Option<Type> {
        match value {
            DeValue::String(_) => Some(Type::Text),
            DeValue::Integer(_) => Some(Type::Integer),
            DeValue::Float(_) => Some(Type::Number),
            DeValue::Boolean(_) => Some(Type::Boolean),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    /// Whether `value` is of this type.
    fn takes(self, value: &DeValue<'_>) -> bool {
        match (self, value) {
            (Type::Integer, DeValue::Integer(_))
            | (Type::Number, DeValue::Integer(_) | DeValue::Float(_))
            | (Type::Boolean, DeValue::Boolean(_))
            | (Type::Text, DeValue::String(_)) => true,
            (Type::Duration, DeValue::String(text)) => duration::parse(text).is_ok(),
            (Type::Rate, DeValue::String(text)) => text.parse::<Rate>().is_ok(),
            (Type::Share, DeValue::String(text)) => text.parse::<Share>().is_ok(),
            (Type::Size, DeValue::String(text)) => text.parse::<ByteSize>().is_ok(),
            (Type::Bandwidth, DeValue::String(text)) => text.parse::<Bandwidth>().is_ok(),
            _ => false,
        }
    }

    /// What `text`, as the command line gives it, means.
    fn parse(self, text: &str) -> Option<DeValue<'_>> {
        let value = match self {
            Type::Integer | Type::Number | Type::Boolean => DeValue::parse(text.trim()).ok()?.into_inner(),
            _ => DeValue::String(text.into()),
        };
        self.takes(&value).then_some(value)
    }
}

struct Declared<'a> {
    value: DeValue<'a>,
    /// Where it is declared.
    span: Range<usize>,
    type_of: Type,
    limits: (Option<i64>, Option<i64>),
    is_set: bool,
    is_used: bool,
}

/// Puts the values of parameters where they are named, and says what they were.
pub(super) fn apply<'a>(
    document: &mut DeTable<'a>,
    settings: &'a [Setting],
    problems: &Problems,
) -> Vec<Parameter> {
    let (span, mut declared) = declared(document, problems);
    for setting in settings {
        set(setting, &mut declared, span.clone(), problems);
    }
    let mut uses = Uses { declared, problems };
    for (_, value) in document.iter_mut().filter(|(key, _)| key.get_ref() != "params") {
        uses.substitute(value);
    }
    for (name, parameter) in uses.declared.iter().filter(|(_, parameter)| !parameter.is_used) {
        let problem = Problem::new(
            format!("the parameter `{name}` is used nowhere"),
            parameter.span.clone(),
            format!("expected \"${{{name}}}\" somewhere in this file"),
        );
        problems.add(problem.help("leave it out, or use it"));
    }
    let told =
        |(name, it): (String, Declared<'_>)| Parameter { name, value: words(&it.value), is_set: it.is_set };
    uses.declared.into_iter().map(told).collect()
}

/// Where `[params]` stands, and what is in it.
fn declared<'a>(
    document: &DeTable<'a>,
    problems: &Problems,
) -> (Range<usize>, BTreeMap<String, Declared<'a>>) {
    let mut declared = BTreeMap::new();
    let Some((_, section)) = document.get_key_value("params") else { return (0..0, declared) };
    let DeValue::Table(entries) = section.get_ref() else {
        let message = format!("`params` is {}", kind_in_words(section.get_ref()));
        problems.add(Problem::new(message, section.span(), "expected a table: [params]"));
        problems.lose_name();
        return (section.span(), declared);
    };
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(right) {
            let label = "expected letters, digits, `-` and `_`";
            problems.add(Problem::new("not a name for a parameter", key.span(), label));
            problems.lose_name();
            continue;
        }
        match declaration(value, key.span(), problems) {
            Some(parameter) => {
                declared.insert(name.to_owned(), parameter);
            }
            None => problems.lose_name(),
        }
    }
    (section.span(), declared)
}

/// `homes = 6`, or `homes = { default = 6, min = 1 }`.
fn declaration<'a>(
    value: &Spanned<DeValue<'a>>,
    span: Range<usize>,
    problems: &Problems,
) -> Option<Declared<'a>> {
    let plain = |value: &Spanned<DeValue<'a>>, type_of, limits| Declared {
        value: value.get_ref().clone(),
        span: span.clone(),
        type_of,
        limits,
        is_set: false,
        is_used: false,
    };
    let DeValue::Table(entries) = value.get_ref() else {
        let Some(type_of) = Type::of(value.get_ref()) else {
            let message = format!("a parameter cannot be {}", kind_in_words(value.get_ref()));
            let label = "expected a text, a number, true or false, or a table with a `default`";
            problems.add(Problem::new(message, value.span(), label));
            return None;
        };
        return Some(plain(value, type_of, (None, None)));
    };
    let mut table = Table::new(entries, value.span(), "a parameter", problems);
    let type_of = table.word("type", &TYPES);
    let has_type = table.has("type");
    let limits = (table.get::<i64>("min"), table.get::<i64>("max"));
    table.get::<String>("about");
    if !table.has("default") {
        table.missing("default");
    }
    table.ask(&["default"]);
    let default = entries.get("default");
    table.finish();
    let default = default?;
    if has_type && type_of.is_none() {
        return None;
    }
    let type_of = if has_type { type_of } else { Type::of(default.get_ref()) };
    let type_of = type_of.filter(|type_of| type_of.takes(default.get_ref()));
    let Some(type_of) = type_of else {
        let message = "the default of this parameter is not of its type";
        let label = "expected a value of the type that it says";
        problems.add(Problem::new(message, default.span(), label));
        return None;
    };
    let parameter = plain(default, type_of, limits);
    if let Err(label) = within(&parameter.value, limits) {
        let message = format!("the default is {}", words(&parameter.value));
        problems.add(Problem::new(message, default.span(), label));
    }
    Some(parameter)
}

/// Whether a number is within its limits; where it is not, what was expected.
fn within(value: &DeValue<'_>, (min, max): (Option<i64>, Option<i64>)) -> Result<(), String> {
    let number: f64 = match words(value).parse() {
        Ok(number) if min.is_some() || max.is_some() => number,
        _ => return Ok(()),
    };
    if min.is_none_or(|min| number >= min as f64) && max.is_none_or(|max| number <= max as f64) {
        return Ok(());
    }
    Err(match (min, max) {
        (Some(min), Some(max)) => format!("expected {min} to {max}"),
        (Some(min), None) => format!("expected at least {min}"),
        (None, max) => format!("expected at most {}", max.unwrap_or_default()),
    })
}

/// Gives a parameter the value that the command line says.
fn set<'a>(
    (name, text): &'a Setting,
    declared: &mut BTreeMap<String, Declared<'a>>,
    section: Range<usize>,
    problems: &Problems,
) {
    let Some(parameter) = declared.get_mut(name) else {
        let message = format!("`--set {name}={text}`: no parameter is called `{name}`");
        let label = match declared.is_empty() {
            true => "expected [params] in this file".to_owned(),
            false => format!("expected one of {}", list(declared.keys().map(String::as_str))),
        };
        let help = did_you_mean(name, declared.keys().map(String::as_str));
        problems.add_unknown_name(Problem::new(message, section, label).maybe_help(help));
        return;
    };
    let Some(value) = parameter.type_of.parse(text) else {
        let message = format!("`--set {name}={text}` is no value for `{name}`");
        let label = format!("expected {}", parameter.type_of.words());
        problems.add(Problem::new(message, parameter.span.clone(), label));
        return;
    };
    if let Err(label) = within(&value, parameter.limits) {
        let message = format!("`--set {name}={text}` is out of range");
        problems.add(Problem::new(message, parameter.span.clone(), label));
    }
    parameter.value = value;
    parameter.is_set = true;
}

struct Uses<'a, 'p> {
    declared: BTreeMap<String, Declared<'a>>,
    problems: &'p Problems,
}

impl<'a> Uses<'a, '_> {
    fn substitute(&mut self, value: &mut Spanned<DeValue<'a>>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) if text.contains(OPEN) => {
                let text = text.clone();
                match self.put(&text, &span) {
                    Some(put) => *value.get_mut() = put,
                    // What the text would mean by itself is of no interest.
                    None => self.problems.repeats(std::iter::once(span)),
                }
            }
            DeValue::Array(items) => items.iter_mut().for_each(|item| self.substitute(item)),
            DeValue::Table(entries) => entries.iter_mut().for_each(|(_, value)| self.substitute(value)),
            _ => {}
        }
    }

    /// A string with the values of the parameters in it; a parameter alone keeps its type.
    fn put(&mut self, text: &str, span: &Range<usize>) -> Option<DeValue<'a>> {
        if let Some(name) = text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix('}'))
            && !name.contains('}')
        {
            return self.look_up(name, span);
        }
        let mut whole = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            // "$${" stands for "${" itself.
            if rest[..at].ends_with('$') {
                whole.push_str(&rest[..at - 1]);
                whole.push_str(OPEN);
                rest = &rest[at + OPEN.len()..];
                continue;
            }
            whole.push_str(&rest[..at]);
            let Some((name, after)) = rest[at + OPEN.len()..].split_once('}') else {
                let problem = Problem::new("`${` is not closed", span.clone(), "expected `}` after the name");
                self.problems.add(problem.help("for the two characters themselves write `$${`"));
                return None;
            };
            whole.push_str(&words(&self.look_up(name, span)?));
            rest = after;
        }
        whole.push_str(rest);
        Some(DeValue::String(whole.into()))
    }

    fn look_up(&mut self, name: &str, span: &Range<usize>) -> Option<DeValue<'a>> {
        let Some(parameter) = self.declared.get_mut(name) else {
            let known = || self.declared.keys().map(String::as_str);
            let label = match self.declared.is_empty() {
                true => "expected [params] in this file to name it".to_owned(),
                false => format!("expected one of {}", list(known())),
            };
            let message = format!("no parameter is called `{name}`");
            let help = did_you_mean(name, known());
            self.problems.add_unknown_name(Problem::new(message, span.clone(), label).maybe_help(help));
            return None;
        };
        parameter.is_used = true;
        let by = if parameter.is_set { "by --set" } else { "here" };
        let note = format!("`{name}` is {} {by}", words(&parameter.value));
        self.problems.comes_from(span.clone(), parameter.span.clone(), note);
        Some(parameter.value.clone())
    }
}

/// A value as text: what it stands for within a longer string.
fn words(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(it) => it.to_string(),
        // Never declared.
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}
