//! Clients written on a command line: `oltp,vdisk=db,depth=4,think=exponential 5ms`.
//!
//! The text is turned into a workload file and read as one, so that both accept the same keys and
//! report mistakes in the same words. A mix, or a trace's name with a comma, needs the braces of a
//! file: `{ "vdisk": "db", "mix": [ … ] }`. What is not known here: what the keys mean.

use crate::WorkloadError;
use crate::keys::CLIENT;
use crate::kinds::GeneratorKind;
use crate::workload::Workload;
use disktime_documents::Form;
use serde_json::{Map, Value};
use std::path::Path;

impl Workload {
    /// The workload of clients written on a command line, each as `KIND,KEY=VALUE,…` (the kind or
    /// `trace=FILE` first) or as an object in braces; `duration` is written as in a file. Paths of
    /// traces start at the current directory.
    ///
    /// # Errors
    /// As for [`Workload::read`], naming the client's text.
    pub fn from_command_line(
        clients: &[String],
        duration: &str,
        seed: u64,
    ) -> Result<Workload, WorkloadError> {
        let mut objects = Vec::with_capacity(clients.len());
        let mut names: Vec<String> = Vec::with_capacity(clients.len());
        for text in clients {
            let (name, object) = client_object(text)?;
            let taken = names.iter().filter(|other| **other == name).count();
            objects.push(match taken {
                0 => format!("{}: {object}", Value::from(name.as_str())),
                more => format!("{}: {object}", Value::from(format!("{name} {}", more + 1))),
            });
            names.push(name);
        }
        let text = format!(
            "{{ \"duration\": {}, \"seed\": {seed}, \"clients\": {{\n{}\n}} }}",
            Value::from(duration),
            objects.join(",\n")
        );
        Workload::parse(Path::new("command line"), &text)
    }
}

/// The name and the JSON text of a client.
fn client_object(text: &str) -> Result<(String, String), WorkloadError> {
    if text.trim_start().starts_with('{') {
        return Ok(("client".to_owned(), text.to_owned()));
    }
    let mut object = Map::new();
    let mut name = "client".to_owned();
    for (number, part) in text.split(',').enumerate() {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key.trim(), value.trim()),
            None if number == 0 => ("kind", part.trim()),
            None => {
                return Err(WorkloadError::new(format!(
                    "`{part}` in the client `{text}` is not KEY=VALUE"
                ))
                .help("write a client as in `oltp,vdisk=db,depth=4`"));
            }
        };
        if key == "kind" && GeneratorKind::from_name(value).is_none() {
            let kinds = GeneratorKind::NAMES.join(", ");
            return Err(
                WorkloadError::new(format!("`{value}` is not a kind of generator"))
                    .help(format!("expected: {kinds}; or trace=FILE")),
            );
        }
        if matches!(key, "kind" | "name") {
            value.clone_into(&mut name);
        }
        if key != "name"
            && object
                .insert(key.to_owned(), json_value(key, value))
                .is_some()
        {
            return Err(WorkloadError::new(format!(
                "the key `{key}` occurs twice in the client `{text}`; keep one of them"
            )));
        }
    }
    Ok((name, Value::Object(object).to_string()))
}

/// A value with or without quotes, as its key needs it.
fn json_value(key: &str, value: &str) -> Value {
    let is_bare = CLIENT
        .key(key)
        .is_some_and(|key| key.kind().form() == Form::Bare);
    match serde_json::from_str(value) {
        Ok(number @ (Value::Number(_) | Value::Bool(_))) if is_bare => number,
        // What cannot be read is for the reader of the file to report.
        _ => Value::from(value),
    }
}

#[cfg(test)]
mod tests;
