//! The JSON Schema (draft 2020-12), written from the list of keys, for editors and generators.
//! It says what one key accepts; what keys have to be together (sums, limits, names that exist)
//! is for `disktime check` to say.

use crate::fields::{Field, Kind, MAX_NAME, MEDIA, ROOT, Table};
use disktime_units::format_duration;
use serde_json::{Map, Value, json};

const NUMBER: &str = r"[0-9]+(\.[0-9]+)?";

/// The schema of the reservation file.
pub fn schema() -> Value {
    let mut schema = object(&ROOT);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "disktime reservations",
        "description": "Disks, the virtual disks on them with their reserved disk time, and the doors by which they are reached.",
    });
    if let (Value::Object(schema), Value::Object(head)) = (&mut schema, head) {
        schema.extend(head);
        schema.insert("$defs".to_owned(), definitions());
    }
    schema
}

fn definitions() -> Value {
    let pattern = |unit: &str| format!(r"^\s*{NUMBER}\s*{unit}\s*$");
    json!({
        "path": { "type": "string", "minLength": 1 },
        "name": { "type": "string", "pattern": format!("^(?!\\.{{1,2}}$)[A-Za-z0-9._-]{{1,{MAX_NAME}}}$") },
        "size": { "type": "string", "pattern": pattern("(B|[KMGTP]iB|[kKMGT]B|[KMG])") },
        "share": { "type": "string", "pattern": pattern("%") },
        "duration": { "type": "string", "pattern": pattern("(ns|us|ms|s|min)") },
        "network": { "type": "string", "pattern": r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$" },
        "mode": { "type": "string", "pattern": r"^0?[0-7]{3}$" },
        "account": { "type": "string", "pattern": r"^[^\s:,]+$" },
        "address": { "type": "string", "pattern": r"^(\[[^\]]+\]|[0-9.]+):[0-9]{1,5}$" },
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn object(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), property(field)))
        .collect();
    let required: Vec<_> = table
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    if table.fields.iter().any(|field| field.name == "reserve") {
        object["dependentRequired"] = json!({ "reserve": ["period"] });
    }
    if table.fields.iter().any(|field| field.name == "emulate") {
        let with_size = ["emulate", "memory", "null"].map(|key| (key.to_owned(), json!(["size"])));
        object["dependentRequired"] = Map::from_iter(with_size).into();
        object["oneOf"] = MEDIA
            .map(|key| json!({ "required": [key] }))
            .to_vec()
            .into();
    }
    object
}

fn property(field: &Field) -> Value {
    let mut schema = kind(&field.kind);
    let mut about = field.about.to_owned();
    if let Kind::Duration { least, most } = &field.kind {
        let (least, most) = (format_duration(*least), format_duration(*most));
        about.push_str(&format!(" From {least} to {most}."));
    }
    if !field.default.is_empty() {
        about.push_str(&format!(" Default: {}.", field.default));
    }
    schema["description"] = about.into();
    schema
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Path => reference("path"),
        Kind::Size => reference("size"),
        Kind::Share => reference("share"),
        Kind::Duration { .. } => reference("duration"),
        Kind::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Truth => json!({ "type": "boolean" }),
        Kind::True => json!({ "const": true }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Model => json!({ "type": ["string", "object"] }),
        Kind::Addresses => {
            json!({ "type": "array", "items": reference("address"), "uniqueItems": true })
        }
        Kind::Networks => {
            json!({ "type": "array", "items": reference("network"), "minItems": 1, "uniqueItems": true })
        }
        Kind::Mode => reference("mode"),
        Kind::Account => reference("account"),
        Kind::DiskName | Kind::GroupName => reference("name"),
        Kind::Object(table) => object(table),
        Kind::Named(table) => {
            let mut named = json!({
                "type": "object",
                "propertyNames": reference("name"),
                "additionalProperties": object(table),
            });
            if table.fields.iter().any(|field| field.name == "emulate") {
                named["minProperties"] = 1.into();
            }
            named
        }
    }
}
