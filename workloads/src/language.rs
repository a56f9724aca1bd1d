//! The workload file: strict JSON, every mistake with its place and what would be accepted.
//!
//! `{ "duration": "60s", "seed": 1, "clients": { "reader": { "vdisk": "web", … } } }`
//!
//! Invariants: no text makes it panic; whatever it accepts can be run on a virtual disk that is
//! large enough; what is left out has the default that `keys` names. The keys are listed once, in
//! `keys`; `language_client` reads a client, `language_generated` what it makes up.
//! What is not known here: which virtual disks there are, and how large.

use crate::keys::{Key, ROOT_KEYS};
use crate::values::{integer, positive_duration};
use crate::workload::Workload;
use crate::{Location, WorkloadError};
use disktime_reservations::{Finding, Member, Node, Span, Spanned, nearest, read_json};
use disktime_units::Nanos;
use std::path::Path;
use std::sync::Arc;

/// The longest name of a client; it becomes a column of a table.
const MAX_NAME: usize = 64;

impl Workload {
    /// Reads a workload file; traces in it are looked for beside it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line and column and what would be accepted.
    pub fn read(path: &Path) -> Result<Workload, WorkloadError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            WorkloadError::new(format!(
                "the workload `{}` cannot be read: {error}",
                path.display()
            ))
        })?;
        Workload::parse(path, &text)
    }

    /// Reads the text of a workload file; `path` is for messages and for paths in it.
    ///
    /// # Errors
    /// As for [`Workload::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Workload, WorkloadError> {
        let file: Arc<str> = Arc::from(path.display().to_string());
        if text.trim().is_empty() {
            return Err(WorkloadError::new(format!("the workload `{file}` is empty")).help(
                "a workload is { \"duration\": \"60s\", \"clients\": { \"reader\": { \"vdisk\": \"web\" } } }",
            ));
        }
        let (tree, findings) = read_json(text);
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut reader = Reader {
            file: &file,
            text,
            directory,
            findings,
        };
        let workload = tree.as_ref().and_then(|tree| reader.workload(tree));
        match workload {
            Some(workload) if reader.findings.is_empty() => Ok(workload),
            _ => Err(WorkloadError::of_findings(&file, text, reader.findings)),
        }
    }
}

/// What a reading of a value found: the value, or a finding that is noted.
pub(crate) type Read<T> = Option<T>;

pub(crate) struct Reader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    /// Where paths in the file start.
    pub(crate) directory: &'a Path,
    findings: Vec<Finding>,
}

/// An object whose keys are checked.
pub(crate) struct Object<'a> {
    pub(crate) members: &'a [Member],
    pub(crate) keys: &'static [Key],
}

impl<'a> Object<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Spanned<Node>> {
        self.members
            .iter()
            .find(|member| member.key.value == name)
            .map(|member| &member.value)
    }

    pub(crate) fn accepted(&self, name: &str) -> &'static str {
        self.keys
            .iter()
            .find(|key| key.0 == name)
            .map_or("", |key| key.3)
    }
}

impl Reader<'_> {
    pub(crate) fn note(&mut self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.push(Finding::error(span, message).help(help));
    }

    pub(crate) fn location(&self, span: Span) -> Location {
        Location::in_text(self.file, self.text, span)
    }

    fn workload(&mut self, tree: &Spanned<Node>) -> Read<Workload> {
        let Node::Object(members) = &tree.value else {
            if tree.value == Node::Broken {
                return None;
            }
            let help = "a workload is an object: { \"duration\": \"60s\", \"clients\": { … } }";
            self.note(
                tree.span,
                format!("a workload is not {}", tree.value.what()),
                help,
            );
            return None;
        };
        let object = self.object("a workload", members, &ROOT_KEYS);
        let duration = self.required(
            &object,
            tree.span,
            "a workload",
            "duration",
            positive_duration,
        );
        let seed = self
            .optional(&object, "seed", |node| integer(node, 0, u64::MAX))
            .unwrap_or(1);
        let clients = self.required(
            &object,
            tree.span,
            "a workload",
            "clients",
            |node| match node {
                Node::Object(members) if members.is_empty() => Err("there is no client".to_owned()),
                Node::Object(members) => Ok(members.as_slice()),
                other => Err(format!("the clients are {}, not an object", other.what())),
            },
        );
        // Without a duration the clients' mistakes are still worth showing.
        let until = duration.unwrap_or(Nanos::MAX);
        let mut workload = Workload::new(until, seed);
        for member in clients? {
            self.name(&member.key);
            workload.clients.extend(self.client(member, until));
        }
        self.duplicates("client", clients?);
        duration.map(|_| workload)
    }

    fn name(&mut self, key: &Spanned<String>) {
        let help = "a name is a text of 1 to 64 characters, none of them a control character";
        if key.value.is_empty()
            || key.value.chars().count() > MAX_NAME
            || key.value.chars().any(char::is_control)
        {
            self.note(key.span, "this is not a usable name for a client", help);
        }
    }

    fn duplicates(&mut self, what: &str, members: &[Member]) {
        let mut seen = std::collections::HashSet::new();
        for member in members {
            if !seen.insert(member.key.value.as_str()) {
                let message = format!("the {what} `{}` occurs twice", member.key.value);
                self.note(
                    member.key.span,
                    message,
                    "keep one of them, or give it another name",
                );
            }
        }
    }

    /// Checks the keys of an object: known, and each once.
    pub(crate) fn object<'t>(
        &mut self,
        what: &str,
        members: &'t [Member],
        keys: &'static [Key],
    ) -> Object<'t> {
        for member in members {
            let name = member.key.value.as_str();
            if keys.iter().any(|key| key.0 == name) {
                continue;
            }
            let names: Vec<_> = keys.iter().map(|key| format!("`{}`", key.0)).collect();
            let known = format!("{what} has the keys {}", names.join(", "));
            let help = match nearest(name, keys.iter().map(|key| key.0)) {
                Some(near) => format!("did you mean `{near}`? {known}"),
                None => known,
            };
            self.note(
                member.key.span,
                format!("the key `{name}` is not known here"),
                help,
            );
        }
        self.duplicates("key", members);
        Object { members, keys }
    }

    /// A value that may be left out; `convert` says what is wrong with it.
    pub(crate) fn optional<'t, T>(
        &mut self,
        object: &Object<'t>,
        name: &str,
        convert: impl FnOnce(&'t Node) -> Result<T, String>,
    ) -> Read<T> {
        let value = object.get(name)?;
        if value.value == Node::Broken {
            return None;
        }
        match convert(&value.value) {
            Ok(converted) => Some(converted),
            Err(what) => {
                let help = format!("`{name}` is {}", object.accepted(name));
                self.note(value.span, what, help);
                None
            }
        }
    }

    pub(crate) fn required<'t, T>(
        &mut self,
        object: &Object<'t>,
        span: Span,
        what: &str,
        name: &str,
        convert: impl FnOnce(&'t Node) -> Result<T, String>,
    ) -> Read<T> {
        if object.get(name).is_none() {
            let help = format!("`{name}` is {}", object.accepted(name));
            // Only the object's first line can be marked; its bracket is enough.
            let mark = Span {
                start: span.start,
                end: (span.start + 1).min(span.end),
            };
            self.note(mark, format!("{what} needs the key `{name}`"), help);
        }
        self.optional(object, name, convert)
    }
}

#[cfg(test)]
mod tests;
