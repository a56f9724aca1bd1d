//! The JSON Schema (draft 2020-12), made from the tables of keys, for editors and generators. It
//! says what one key accepts and a few things that keys have to be together; the rest (sums,
//! limits, names that exist) is for `disktime check` to say.

use crate::keys::{MEDIA, ROOT};
use disktime_documents::{definitions, object_schema};
use serde_json::{Map, Value, json};

/// The schema of the reservation file.
pub fn schema() -> Value {
    let mut schema = object_schema(&ROOT);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "disktime reservations".into();
    schema["description"] = "Disks, the virtual disks on them with their reserved disk time, and \
        the frontends that serve them."
        .into();
    for entitled in ["vdisks", "groups"] {
        let object = &mut schema["properties"][entitled]["additionalProperties"];
        object["dependentRequired"] = json!({ "reserve": ["period"] });
    }
    let disk = &mut schema["properties"]["disks"]["additionalProperties"];
    let with_size = ["emulate", "memory", "null"].map(|key| (key.to_owned(), json!(["size"])));
    disk["dependentRequired"] = Map::from_iter(with_size).into();
    disk["oneOf"] = MEDIA
        .map(|key| json!({ "required": [key] }))
        .to_vec()
        .into();
    let mut all = definitions();
    all.extend(own_definitions());
    schema["$defs"] = all.into();
    schema
}

/// The definitions of the formats that only this file has.
fn own_definitions() -> Map<String, Value> {
    let list = |item: &str| {
        let item = json!({ "$ref": format!("#/$defs/{item}") });
        json!({ "type": "array", "items": item, "uniqueItems": true })
    };
    let mut networks = list("network");
    networks["minItems"] = 1.into();
    [
        ("network", text(r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")),
        ("networks", networks),
        ("mode", text(r"^0?[0-7]{3}$")),
        ("account", text(r"^[^\s:,]+$")),
        ("address", text(r"^(\[[^\]]+\]|[0-9.]+):[0-9]{1,5}$")),
        ("addresses", list("address")),
        ("model", json!({ "type": ["string", "object"] })),
    ]
    .map(|(name, definition)| (name.to_owned(), definition))
    .into_iter()
    .collect()
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}
