//! The schema for editors: it is what the reader asks for, and every file of the repository fits it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::schema::schema;

/// The part of JSON Schema that the schema uses. A keyword that is not known here is an error.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().expect("a schema is an object").iter().all(|(keyword, argument)| {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "definitions" | "examples" | "properties" => true,
            "$ref" => {
                let pointer =
                    argument.as_str().and_then(|it| it.strip_prefix('#')).expect("a local reference");
                fits(root, root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere")), value)
            }
            "anyOf" => argument.as_array().expect("schemas").iter().any(|option| fits(root, option, value)),
            "allOf" => argument.as_array().expect("schemas").iter().all(|option| fits(root, option, value)),
            "type" => match argument.as_str().expect("one type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                other => panic!("there is no type {other}"),
            },
            "const" => argument == value,
            "enum" => argument.as_array().expect("values").contains(value),
            "pattern" => value.as_str().is_some_and(|text| text.contains("${")),
            "items" => value.as_array().into_iter().flatten().all(|item| fits(root, argument, item)),
            "required" => argument
                .as_array()
                .expect("names")
                .iter()
                .all(|name| value.get(name.as_str().expect("a name")).is_some()),
            "additionalProperties" => value.as_object().into_iter().flatten().all(|(key, field)| {
                schema["properties"].get(key).is_some_and(|schema| fits(root, schema, field))
            }),
            other => panic!("the keyword {other} is not known to this check"),
        }
    })
}

fn valid(text: &str) -> bool {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    let value: toml::Table = toml::from_str(text).expect("it is TOML");
    fits(&schema, &schema, &serde_json::to_value(value).expect("it can be JSON"))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[expect(clippy::disallowed_methods, reason = "the test is about files")]
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_file_is_what_the_command_prints() {
    let reference = text_of(&repository().join("scenarios/README.md"));
    for example in reference.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        assert!(valid(example), "{example}");
    }
}

#[test]
fn mistakes_do_not_fit() {
    for bad in [
        "duraton = \"1m\"",
        "[[main]]\nnmae = \"a\"",
        "[[main]]\ncount = 3",
        "[[main]]\nname = \"a\"\ncount = true",
        "[[home]]\nname = \"a\"",
        "[[fault]]\nat = \"1m\"\nkind = \"crush\"\nhost = \"a\"",
        "[[fault]]\nat = \"1m\"\nkind = \"crash\"\nhost = \"a\"\nlasts = \"1m\"",
        "[[fault]]\nkind = \"crash\"\nhost = \"a\"",
        "[[load]]\nname = \"a\"\nfrom = \"b\"\nservice = \"c\"\nmethod = \"d\"",
        "[[gate]]\nname = \"a\"",
        "[[sometimes]]\nwhat = \"nothing\"",
        "[[upgrade]]\nname = \"a\"\nat = \"1m\"\nhosts = \"b\"\n[upgrade.node]\nhart = \"1s\"",
    ] {
        assert!(!valid(bad), "{bad}");
    }
    for good in [
        "[[main]]\nname = \"a\"\ncount = \"${mains}\"",
        "[[home]]\nname = \"a\"\nuse = \"edge\"",
        "[[fault]]\nphase = \"storm\"\nkind = \"crash\"\nhost = \"a\"\nevery = \"1m\"",
        "[[load]]\nname = \"a\"\nfrom = \"b\"\nto = \"b\"\nservice = \"c\"\nmethod = \"d\"\nprofile = [{ kind = \"pause\" }]",
    ] {
        assert!(valid(good), "{good}");
    }
}

#[test]
fn keys_are_explained() {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    for (place, key) in
        [("node", "heartbeat"), ("gate", "window"), ("upgrade", "abort_on"), ("probe", "interval")]
    {
        let meaning = &schema["definitions"][place]["anyOf"][0]["properties"][key]["description"];
        let meaning =
            meaning.as_str().or(schema["definitions"][place]["properties"][key]["description"].as_str());
        assert!(meaning.is_some_and(|meaning| meaning.len() > 10), "{place}.{key}");
    }
}
