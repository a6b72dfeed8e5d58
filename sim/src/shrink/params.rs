//! Parameters written out: what is left of a scenario is to run as it stands, without `--set`.

use toml_edit::{DocumentMut, Item, Table, TomlError, Value};

use crate::scenario::Parameter;

/// What begins a reference to a parameter, in any string.
const OPEN: &str = "${";

/// The text with the values of its parameters in their places, and without `[params]`.
pub(super) fn written_out(text: &str, parameters: &[Parameter]) -> Result<DocumentMut, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let Some(declared) = document.remove("params") else { return Ok(document) };
    let values: Vec<(&str, Value)> =
        parameters.iter().map(|it| (it.name.as_str(), value(it, &declared))).collect();
    in_table(document.as_table_mut(), &values);
    Ok(document)
}

/// A parameter's value, in the type of its default: whoever declares a text means `"3"`, not `3`.
fn value(parameter: &Parameter, declared: &Item) -> Value {
    let text = || Value::from(parameter.value.as_str());
    let own = declared.get(&parameter.name);
    let default = own.and_then(|own| own.get("default").or(Some(own)));
    match default.is_some_and(Item::is_str) {
        true => text(),
        false => parameter.value.parse().unwrap_or_else(|_| text()),
    }
}

fn in_table(table: &mut Table, values: &[(&str, Value)]) {
    table.iter_mut().for_each(|(_, item)| in_item(item, values));
}

fn in_item(item: &mut Item, values: &[(&str, Value)]) {
    match item {
        Item::None => {}
        Item::Value(value) => in_value(value, values),
        Item::Table(table) => in_table(table, values),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| in_table(table, values)),
    }
}

fn in_value(value: &mut Value, values: &[(&str, Value)]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| in_value(item, values)),
        Value::InlineTable(table) => table.iter_mut().for_each(|(_, item)| in_value(item, values)),
        Value::String(text) if text.value().contains(OPEN) => {
            let decor = value.decor().clone();
            *value = put(value.as_str().unwrap_or_default(), values);
            *value.decor_mut() = decor;
        }
        _ => {}
    }
}

/// A string with the values in it; a parameter alone keeps its type. `$${` stands for itself, and stays.
fn put(text: &str, values: &[(&str, Value)]) -> Value {
    let find = |name: &str| values.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
    let alone = text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix('}'));
    if let Some(Some(value)) = alone.map(find) {
        return match value.as_str() {
            Some(text) => escaped(text).into(),
            None => value.clone(),
        };
    }
    let (mut whole, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(OPEN) {
        let (before, after) = rest.split_at(at);
        whole.push_str(before);
        let named = after[OPEN.len()..].split_once('}').filter(|_| !before.ends_with('$'));
        match named.and_then(|(name, after)| Some((find(name)?, after))) {
            Some((value, after)) => {
                whole += &value.as_str().map_or_else(|| value.to_string().trim().to_owned(), escaped);
                rest = after;
            }
            None => {
                whole.push_str(OPEN);
                rest = &after[OPEN.len()..];
            }
        }
    }
    whole.push_str(rest);
    whole.into()
}

/// A value is not read for parameters again.
fn escaped(text: &str) -> String {
    text.replace(OPEN, "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_alone_keeps_its_type_and_within_a_text_is_text() {
        let text = "count = \"${homes}\" # all\nabout = \"${homes} at ${who}, $${homes}\"\nlist = [\"${id}\"]\n\
                    [params]\nhomes = { default = 12, min = 2 }\nwho = \"main\"\nid = \"7\"\n";
        let parameter =
            |name: &str, value: &str| Parameter { name: name.into(), value: value.into(), is_set: false };
        let parameters = [parameter("homes", "5"), parameter("who", "hub"), parameter("id", "7")];
        assert_eq!(
            written_out(text, &parameters).unwrap().to_string(),
            "count = 5 # all\nabout = \"5 at hub, $${homes}\"\nlist = [\"7\"]\n"
        );
    }
}
