//! Checks a value against the part of JSON Schema that `report.schema.json` and the node's `openapi.json` use. A
//! validator from the registry would bring forty crates for two tests. A keyword that this one does not know is an error,
//! so that none is passed over.

use serde_json::Value;

/// What is wrong with `value`, a line each; empty where it fits. Fields that the schema does not describe are wrong.
pub(crate) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, schema, value, "$", &mut errors);
    errors
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    for (keyword, argument) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" => true,
            "$ref" => {
                let pointer = argument.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                check(root, target, value, at, errors);
                true
            }
            "anyOf" => argument.as_array().expect("schemas").iter().any(|option| {
                let mut inner = Vec::new();
                check(root, option, value, at, &mut inner);
                inner.is_empty()
            }),
            "type" => match argument {
                Value::Array(types) => types.iter().any(|t| is(t, value)),
                one => is(one, value),
            },
            "const" => argument == value,
            "enum" => argument.as_array().expect("values").contains(value),
            "maximum" => value.as_f64().is_none_or(|n| n <= argument.as_f64().expect("a number")),
            "minimum" => value.as_f64().is_none_or(|n| n >= argument.as_f64().expect("a number")),
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, argument, item, &format!("{at}[{i}]"), errors);
                }
                true
            }
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    check(root, argument, field, &format!("{at}.{name}"), errors);
                }
                assert!(schema.get("properties").is_none(), "{at}: one of the two, to keep this check short");
                true
            }
            "required" => {
                argument.as_array().expect("names").iter().all(|name| {
                    value.as_object().is_none_or(|o| o.contains_key(name.as_str().expect("a name")))
                })
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    match argument.get(name) {
                        Some(schema) => check(root, schema, field, &format!("{at}.{name}"), errors),
                        None => errors.push(format!("{at}.{name} is not described")),
                    }
                }
                true
            }
            other => panic!("the keyword {other} at {at} is not known to this check"),
        };
        if !fits {
            errors.push(format!("{at} breaks {keyword}: {argument}"));
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("there is no type {other}"),
    }
}
