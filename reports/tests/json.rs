//! The report as JSON: nothing is lost, the schema describes all of it, and a bad file is explained in words.

mod sample;
mod schema;

use relay_reports::model::SCHEMA_VERSION;
use relay_reports::{ReadError, Report};
use serde_json::Value;

const SCHEMA: &str = include_str!("../report.schema.json");

fn samples() -> [Report; 5] {
    [sample::passed(), sample::failing(), sample::all_failing(), sample::empty(), sample::day()]
}

fn schema_json() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

fn json(report: &Report) -> Value {
    serde_json::from_str(&report.to_json_pretty()).expect("a report is JSON")
}

#[test]
fn a_report_survives_json_unchanged() {
    for report in samples() {
        let text = report.to_json_pretty();
        let back = Report::from_json(&text).expect("own output");
        assert_eq!(back, report);
        assert_eq!(back.to_json_pretty(), text);
        assert!(text.ends_with("}\n"));
    }
}

#[test]
fn every_sample_fits_the_schema_and_has_no_field_beyond_it() {
    for report in samples() {
        assert_eq!(schema::errors(&schema_json(), &json(&report)), Vec::<String>::new());
    }
}

#[test]
fn the_schema_check_sees_what_is_wrong() {
    let mut report = json(&sample::passed());
    report["calls"]["latency"][3]["p99_ns"] = Value::from(-1);
    report["verdict"] = Value::from("fine");
    report["wall"]["mood"] = Value::from("good");
    report["run"].as_object_mut().expect("an object").remove("seed");
    let found = schema::errors(&schema_json(), &report).join("\n");
    for expected in
        ["$.calls.latency[3].p99_ns breaks minimum", "$.verdict breaks enum", "$.run breaks required"]
    {
        assert!(found.contains(expected), "{expected} is missing in:\n{found}");
    }
    // `wall` may be null, so its fields are looked at within an anyOf.
    assert!(found.contains("$.wall breaks anyOf"), "{found}");
}

#[test]
fn every_field_in_the_schema_is_described_required_and_written() {
    let schema = schema_json();
    let written = json(&sample::failing());
    let mut fields = 0;
    let objects = schema["$defs"]
        .as_object()
        .expect("definitions")
        .iter()
        .map(|(name, object)| (name.as_str(), object));
    for (name, object) in objects.chain([("Report", &schema)]) {
        assert!(
            object["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{name} has no description"
        );
        let Some(properties) = object.get("properties").and_then(Value::as_object) else { continue };
        assert!(properties.len() <= 10, "{name} has more than ten fields");
        for (field, property) in properties {
            fields += 1;
            assert!(
                property["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name}.{field} has no description"
            );
            assert!(
                object["required"].as_array().expect("names").contains(&Value::from(field.as_str())),
                "{name}.{field}"
            );
            assert!(contains_key(&written, field), "{name}.{field} is in the schema and in no report");
        }
    }
    assert!(fields > 70, "only {fields} fields looked at");
}

fn contains_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(fields) => {
            fields.contains_key(key) || fields.values().any(|field| contains_key(field, key))
        }
        Value::Array(items) => items.iter().any(|item| contains_key(item, key)),
        _ => false,
    }
}

#[test]
fn the_schema_names_the_version_that_is_written() {
    assert_eq!(schema_json()["properties"]["schema_version"]["const"], Value::from(SCHEMA_VERSION));
}

#[test]
fn only_the_wall_figures_may_differ_between_two_runs_of_a_seed() {
    let mut other = sample::passed();
    other.wall.as_mut().expect("a sample with figures").wall_ns += 1;
    assert_ne!(other, sample::passed());
    assert_eq!(other.without_wall().to_json_pretty(), sample::passed().without_wall().to_json_pretty());
}

#[test]
fn a_report_with_fields_of_a_later_version_can_still_be_read() {
    let mut value = json(&sample::passed());
    value["calls"]["retries"] = Value::from(3);
    assert_eq!(Report::from_json(&value.to_string()).expect("one field more"), sample::passed());
}

#[test]
fn a_bad_file_is_explained_in_words() {
    let other = Report::from_json(r#"{"schema_version": 9, "anything": true}"#).expect_err("another version");
    assert!(matches!(other, ReadError::OtherVersion { found: 9 }));
    assert!(other.to_string().contains("schema version 9, this program reads version 1"), "{other}");

    let cut = Report::from_json("{\"schema_version\": 1,").expect_err("half a file").to_string();
    assert!(cut.contains("line 1 column"), "{cut}");

    let mut value = json(&sample::passed());
    value["run"].as_object_mut().expect("an object").remove("seed");
    let missing = Report::from_json(&value.to_string()).expect_err("no seed").to_string();
    assert!(missing.contains("missing field `seed`") && missing.contains("report.json"), "{missing}");
}
