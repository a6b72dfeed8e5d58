//! A JSON Schema of scenario files, for editors.
//!
//! It is made by reading files with nothing in their tables and writing down what the reader asks for, kind by kind; what
//! each key means is taken from the reference. So it cannot say anything else than these two.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::read::record;
use super::read::shape::{Section, Shape};

/// The reference: what each key means.
const REFERENCE: &str = include_str!("../../../scenarios/README.md");

/// Every table once, so that the reader asks for what may stand in it.
const TABLES: &str = r#"
network = {}
node = {}
host = { clock = {} }
probe = {}
operator = {}
dht = {}
broadcast = {}
lookup = [{}]
stranger = [{}]
gates = {}
phase = [{}]
main = [{}]
home = [{}]
dns = [{}]
link = [{}]
load = [{ gates = {}, expect = [{}] }]
gate = [{}]
sometimes = [{}]
expect = [{}]
upgrade = [{ node = {} }]
service = [{ balance = "?" }]
fault = [{}]
params = { x = {} }
"#;

/// The words that decide what else stands in a table: where, by which key, and how a table with one of them is written.
const KINDS: [(&str, &str, &str); 5] = [
    ("[[service]]", "kind", "service = [{ kind = \"$\", balance = \"?\", upstream = {} }]"),
    ("[[load]]", "kind", "load = [{ kind = \"$\", gates = {}, expect = [{}] }]"),
    ("[[profile]]", "kind", "load = [{ profile = [{ kind = \"$\" }] }]"),
    ("[[fault]]", "kind", "fault = [{ kind = \"$\" }]"),
    ("[[sometimes]]", "what", "sometimes = [{ what = \"$\" }]"),
];

/// Words that are one or the other: a table has the first, or the second in its place.
const EITHER: [(&str, &str); 2] = [("hosts", "host"), ("rate", "profile")];

/// Keys of which the reader tells no form, because it reads them by hand.
fn known_shape(title: &str, key: &str) -> Option<Shape> {
    Some(match (title, key) {
        ("the scenario", "params" | "groups" | "template") => Shape::Map,
        ("the scenario", "phase") => Shape::Tables("[[phase]]".into()),
        ("[[load]]", "expect") => Shape::Tables("[[expect]]".into()),
        ("[[load]]", "profile") => Shape::Tables("[[profile]]".into()),
        ("[[upgrade]]", "services") | (_, "use" | "hosts" | "host") => Shape::Names,
        (_, "phase") => Shape::Text,
        (_, "every" | "until") => Shape::Quantity(&["90s", "10m"]),
        (_, "times") => Shape::Integer,
        (_, "at_most" | "at_least" | "equals") => Shape::Any,
        _ => return None,
    })
}

/// A table of one kind.
#[derive(Clone, Default)]
struct Variant {
    word: Option<(&'static str, String)>,
    keys: Vec<(&'static str, Shape)>,
    required: Vec<&'static str>,
}

/// The schema, as JSON text.
pub fn schema() -> String {
    let meanings = meanings();
    let mut titles: BTreeMap<String, Vec<Variant>> = BTreeMap::new();
    let plain = record(TABLES);
    for section in &plain {
        if KINDS.iter().all(|(title, _, _)| *title != section.title) && !titles.contains_key(&section.title) {
            titles.insert(section.title.clone(), vec![variant(section, None)]);
        }
    }
    for (title, key, text) in KINDS {
        let all = words(&record(&text.replace('$', "?")), title, key);
        for word in all {
            let read = record(&text.replace('$', &word));
            for section in &read {
                if section.title == title && !section.is_open && !section.missing.contains(&key) {
                    let kind = variant(section, Some((key, word.clone())));
                    titles.entry(title.to_owned()).or_default().push(kind);
                } else if section.title.starts_with("[service.") {
                    titles.insert(section.title.clone(), vec![variant(section, None)]);
                }
            }
        }
    }
    let definitions: Map<String, Value> = titles
        .iter()
        .map(|(title, variants)| (name(title), definition(title, variants, &meanings)))
        .collect();
    let whole = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of relay-sim",
        "description": "See scenarios/README.md",
        "$ref": format!("#/definitions/{}", name("the scenario")),
        "definitions": definitions,
    });
    let mut text = serde_json::to_string_pretty(&whole).expect("plain JSON");
    text.push('\n');
    text
}

fn variant(section: &Section, word: Option<(&'static str, String)>) -> Variant {
    let shape = |(key, shape): &(&'static str, Shape)| {
        let known = if *shape == Shape::Any { known_shape(&section.title, key) } else { None };
        (*key, known.unwrap_or_else(|| shape.clone()))
    };
    Variant { word, keys: section.keys.iter().map(shape).collect(), required: section.missing.clone() }
}

/// The words that may stand at `key` of such a table.
fn words(sections: &[Section], title: &str, key: &str) -> Vec<String> {
    let keys = sections.iter().filter(|section| section.title == title).flat_map(|section| &section.keys);
    let mut words = keys.filter(|(name, _)| *name == key).filter_map(|(_, shape)| match shape {
        Shape::Words(words) => Some(words.clone()),
        _ => None,
    });
    words.next().unwrap_or_default()
}

/// What a table may be called in the schema.
fn name(title: &str) -> String {
    title.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect()
}

fn definition(title: &str, variants: &[Variant], meanings: &BTreeMap<(String, String), String>) -> Value {
    let mut options = Vec::new();
    for variant in variants {
        let word = variant.word.as_ref();
        let mut required: Vec<Value> = Vec::new();
        // Open loads, which come first, need not say that they are.
        let may_be_left_out =
            title == "[[load]]" && variants.first().is_some_and(|first| first.word.as_ref() == word);
        if let Some((key, _)) = word.filter(|_| !may_be_left_out) {
            required.push(json!({ "required": [key] }));
        }
        for key in &variant.required {
            // A phase says when, and one word may stand for another.
            let other = EITHER.iter().find(|(one, _)| one == key).map(|(_, other)| *other);
            let other = other.or((*key == "at").then_some("phase"));
            // A load says whom it calls, or that the federation chooses.
            let other = other.or((title == "[[load]]" && *key == "to").then_some("by"));
            let either: Vec<Value> =
                std::iter::once(*key).chain(other).map(|key| json!({ "required": [key] })).collect();
            required.push(if either.len() == 1 { either[0].clone() } else { json!({ "anyOf": either }) });
        }
        let mut option = json!({ "type": "object", "additionalProperties": false });
        option["properties"] = properties(title, variant, meanings);
        if !required.is_empty() {
            option["allOf"] = Value::Array(required);
        }
        options.push(option);
    }
    if variants.iter().any(|variant| variant.keys.iter().any(|(key, _)| *key == "use")) {
        // What is left out may come from a template.
        let mut all = Variant::default();
        for (key, shape) in variants.iter().flat_map(|variant| &variant.keys) {
            if all.keys.iter().all(|(known, _)| known != key) {
                all.keys.push((key, shape.clone()));
            }
        }
        let properties = properties(title, &all, meanings);
        options.push(json!({
            "type": "object", "additionalProperties": false, "properties": properties, "required": ["use"],
        }));
    }
    match options.as_slice() {
        [only] => only.clone(),
        _ => json!({ "anyOf": options }),
    }
}

fn properties(title: &str, variant: &Variant, meanings: &BTreeMap<(String, String), String>) -> Value {
    let one = |(key, shape): &(&'static str, Shape)| {
        let mut value = match &variant.word {
            Some((word_key, word)) if word_key == key => json!({ "const": word }),
            _ => of(shape),
        };
        let kind = variant.word.as_ref().map(|(_, word)| word.as_str()).unwrap_or_default();
        let places = [format!("{title} {kind}"), title.to_owned(), outer(title).to_owned()];
        let meaning = places.iter().find_map(|place| meanings.get(&(place.clone(), (*key).to_owned())));
        if let Some(meaning) = meaning {
            value["description"] = json!(meaning);
        }
        ((*key).to_owned(), value)
    };
    Value::Object(variant.keys.iter().map(one).collect())
}

/// The table whose section of the reference speaks of this one as well.
fn outer(title: &str) -> &str {
    match title {
        "[load.gates]" => "[gates]",
        "[service.upstream]" | "[[profile]]" => "[[load]]",
        "[upgrade.node]" => "[node]",
        "the scenario" => "The top of the file",
        other => other,
    }
}

fn of(shape: &Shape) -> Value {
    // Any value but a text may be a parameter instead, which is a text.
    let or_parameter = |value: Value| json!({ "anyOf": [value, { "type": "string" }] });
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({ "type": "string" }),
        Shape::Flag => or_parameter(json!({ "type": "boolean" })),
        Shape::Integer | Shape::Batch => or_parameter(json!({ "type": "integer" })),
        Shape::Number => or_parameter(json!({ "type": "number" })),
        Shape::Quantity(examples) => json!({ "type": "string", "examples": examples }),
        Shape::Names => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Shape::Integers => json!({ "type": "array", "items": or_parameter(json!({ "type": "integer" })) }),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Words(words) => {
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
        }
        Shape::Table(title) => json!({ "$ref": format!("#/definitions/{}", name(title)) }),
        Shape::Tables(title) => {
            json!({ "type": "array", "items": { "$ref": format!("#/definitions/{}", name(title)) } })
        }
        Shape::Map => json!({ "type": "object" }),
    }
}

/// What the reference says of each key, by the section (and the kind) that it stands in.
fn meanings() -> BTreeMap<(String, String), String> {
    let mut meanings = BTreeMap::new();
    let (mut section, mut kind) = (String::new(), String::new());
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            section = heading.split('`').nth(1).unwrap_or(heading).to_owned();
            kind.clear();
        } else if let Some(rest) = line.strip_prefix("**`kind = \"") {
            kind = rest.split('"').next().unwrap_or_default().to_owned();
        } else if line.starts_with("**") {
            kind.clear();
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let ([keys, meaning] | [keys, _, meaning]) = cells.as_slice() else { continue };
        if !line.starts_with("| `") {
            continue;
        }
        let default = if cells.len() == 3 { cells[1] } else { "" };
        let text = match default {
            "" => (*meaning).to_owned(),
            default => format!("{meaning} (default: {default})"),
        };
        for key in keys.split('`').skip(1).step_by(2) {
            let place = if kind.is_empty() { section.clone() } else { format!("{section} {kind}") };
            meanings.entry((place, key.to_owned())).or_insert_with(|| text.replace('`', ""));
        }
    }
    meanings
}
