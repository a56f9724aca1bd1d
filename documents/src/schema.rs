//! A JSON Schema (draft 2020-12) written from a table of keys, for editors and generators. It says
//! what one key accepts; what keys have to be together is for the reader of the document.

use crate::key::{Key, NameRule, Table, ValueKind};
use crate::names::MAX_NAME;
use disktime_units::format_duration;
use serde_json::{Map, Value, json};

/// The definitions that [`object_schema`] refers to; those of a document's own formats come on top.
pub fn definitions() -> Map<String, Value> {
    const NUMBER: &str = r"[0-9]+(\.[0-9]+)?";
    let pattern = |unit: &str| format!(r"^\s*{NUMBER}\s*{unit}\s*$");
    let file_name = format!("^(?!\\.{{1,2}}$)[A-Za-z0-9._-]{{1,{MAX_NAME}}}$");
    [
        ("path", json!({ "type": "string", "minLength": 1 })),
        ("name", json!({ "type": "string", "pattern": file_name })),
        (
            "size",
            text(&pattern("(B|[KMGTP]iB|[kKMGT]B|[kKmMgGtTpP])")),
        ),
        ("share", text(&pattern("%"))),
        ("duration", text(&pattern("(ns|us|ms|s|min|h)"))),
    ]
    .map(|(name, definition)| (name.to_owned(), definition))
    .into_iter()
    .collect()
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The schema of an object with the keys of `table`.
pub fn object_schema(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .keys()
        .map(|key| (key.name().to_owned(), property(key)))
        .collect();
    let required: Vec<_> = table
        .keys()
        .filter(|key| key.is_required())
        .map(Key::name)
        .collect();
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn property(key: &Key) -> Value {
    let mut schema = value(key);
    let mut about = key.about().to_owned();
    if let ValueKind::Duration { least, most } = key.kind() {
        let (least, most) = (format_duration(*least), format_duration(*most));
        about.push_str(&format!(" From {least} to {most}."));
    }
    if !key.default().is_empty() {
        about.push_str(&format!(" Default: {}.", key.default()));
    }
    schema["description"] = about.into();
    schema
}

fn value(key: &Key) -> Value {
    match key.kind() {
        ValueKind::Path => definition("path"),
        ValueKind::Size { .. } => definition("size"),
        ValueKind::Share { .. } => definition("share"),
        ValueKind::Duration { .. } => definition("duration"),
        ValueKind::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        ValueKind::Number { least, most } => {
            json!({ "type": "number", "minimum": least, "maximum": most })
        }
        ValueKind::Truth => json!({ "type": "boolean" }),
        ValueKind::True => json!({ "const": true }),
        ValueKind::Choice(choices) => json!({ "enum": choices }),
        ValueKind::Format(format) => definition(format.definition),
        ValueKind::Object(table) => object_schema(table),
        ValueKind::ObjectOr(table, words) => {
            json!({ "anyOf": [object_schema(table), { "enum": words }] })
        }
        ValueKind::List(table) => json!({ "type": "array", "items": object_schema(table) }),
        ValueKind::Named(table, rule) => {
            let name = match rule {
                NameRule::FileName => definition("name"),
                NameRule::Text => {
                    json!({ "type": "string", "minLength": 1, "maxLength": MAX_NAME })
                }
            };
            let mut named = json!({
                "type": "object",
                "propertyNames": name,
                "additionalProperties": object_schema(table),
            });
            if key.is_required() {
                named["minProperties"] = 1.into();
            }
            named
        }
    }
}
