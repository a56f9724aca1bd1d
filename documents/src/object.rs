//! An object of a document, checked against its table of keys, and the way to its members.
//!
//! Invariants: unknown and missing keys are reported when the object is opened; a value that its
//! key does not accept is reported when it is read. A getter returns `None` both for a missing and
//! for a wrong value, so the caller checks [`Object::has`] before it reports that something is
//! missing.

mod values;

use crate::finding::{Finding, Findings, shortened};
use crate::json::{Member, Node};
use crate::key::{Key, Table, ValueKind};
use crate::names;
use crate::similar::did_you_mean;
use crate::span::{Span, Spanned};

/// The members of one object.
pub struct Object<'n> {
    table: &'static Table,
    members: &'n [Member],
    place: Span,
    findings: &'n Findings,
}

impl<'n> Object<'n> {
    /// Opens `node` as an object of `table`. `place` is where a missing key is reported: the key
    /// that holds the object, or its bracket.
    pub fn open(
        node: &'n Spanned<Node>,
        table: &'static Table,
        place: Span,
        findings: &'n Findings,
    ) -> Option<Object<'n>> {
        let Node::Object(members) = &node.value else {
            if node.value != Node::Broken {
                let message = format!(
                    "{} must be an object, not {}",
                    table.what(),
                    node.value.what()
                );
                findings.report(node.span, message, expected(&ValueKind::Object(table)));
            }
            return None;
        };
        for Member { key, .. } in members {
            if table.key(&key.value).is_none() {
                findings.push(unknown_key(key, table));
            }
        }
        let object = Object {
            table,
            members,
            place,
            findings,
        };
        for key in table.keys().filter(|key| key.is_required()) {
            if !object.has(key.name()) {
                object.report_missing(place, key);
            }
        }
        Some(object)
    }

    fn report_missing(&self, place: Span, key: &Key) {
        let (what, name) = (self.table.what(), key.name());
        let help = format!("add \"{name}\": {}. {}", key.kind().expected(), key.about());
        self.report(
            place,
            format!("{what} needs the key `{name}`"),
            help.trim_end(),
        );
    }

    /// Adds an error at `span`.
    pub fn report(&self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.report(span, message, help);
    }

    /// Adds an error about the value of a key, with what the key accepts.
    pub fn refuse(&self, name: &str, span: Span, message: impl AsRef<str>) {
        let help = self.table.key(name).map(|key| expected(key.kind()));
        self.report(span, message, help.unwrap_or_default());
    }

    /// Adds an error for each of `keys` that is there: it has no effect for `what`.
    pub fn refuse_keys(&self, keys: &[&str], what: &str, help: &str) {
        for Member { key, .. } in self.members {
            if keys.contains(&key.value.as_str()) {
                self.report(
                    key.span,
                    format!("`{}` has no effect for {what}", key.value),
                    help,
                );
            }
        }
    }

    /// Where all findings go.
    pub fn findings(&self) -> &'n Findings {
        self.findings
    }

    /// Where a mistake of the whole object is reported.
    pub fn place(&self) -> Span {
        self.place
    }

    /// Whether the key is there, with a right or a wrong value.
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// The member of that name.
    pub fn member(&self, name: &str) -> Option<&'n Member> {
        self.members.iter().find(|member| member.key.value == name)
    }

    /// The value of that name, if it is readable JSON.
    pub fn node(&self, name: &str) -> Option<&'n Spanned<Node>> {
        let value = &self.member(name)?.value;
        (value.value != Node::Broken).then_some(value)
    }

    fn get(&self, name: &str) -> Option<(&'static Key, &'n Spanned<Node>)> {
        let key = self.table.key(name);
        debug_assert!(
            key.is_some(),
            "`{name}` is not a key of {}",
            self.table.what()
        );
        Some((key?, self.node(name)?))
    }

    /// An object with a fixed set of keys.
    pub fn object(&self, name: &str) -> Option<Object<'n>> {
        let (key, node) = self.get(name)?;
        let table = match (key.kind(), &node.value) {
            (ValueKind::Object(table), _) => table,
            (ValueKind::ObjectOr(table, _), Node::Object(_)) => table,
            (ValueKind::ObjectOr(..), _) if self.word(name).is_some() => return None,
            (ValueKind::ObjectOr(..), _) => {
                self.refuse_type(key, node);
                return None;
            }
            _ => return None,
        };
        Object::open(node, table, self.member(name)?.key.span, self.findings)
    }

    /// The word that stands in place of an object.
    pub fn word(&self, name: &str) -> Option<Spanned<&'static str>> {
        let (key, node) = self.get(name)?;
        let (ValueKind::ObjectOr(_, words), Node::String(text)) = (key.kind(), &node.value) else {
            return None;
        };
        let word = words.iter().find(|word| **word == *text)?;
        Some(Spanned {
            value: *word,
            span: node.span,
        })
    }

    /// The members of an object whose keys are names.
    pub fn named(&self, name: &str) -> &'n [Member] {
        let Some((key, node)) = self.get(name) else {
            return &[];
        };
        let Node::Object(members) = &node.value else {
            self.refuse_type(key, node);
            return &[];
        };
        if let ValueKind::Named(_, rule) = key.kind() {
            members
                .iter()
                .for_each(|member| names::check(member, *rule, self.findings));
        }
        if members.is_empty() && key.is_required() {
            let message = format!("`{name}` is empty; at least one entry is needed");
            self.refuse(name, node.span, message);
        }
        members
    }

    /// The objects of a list; `None` where an item is not an object.
    pub fn list(&self, name: &str) -> Option<Vec<Option<Object<'n>>>> {
        let (key, node) = self.get(name)?;
        let (ValueKind::List(table), Node::Array(items)) = (key.kind(), &node.value) else {
            self.refuse_type(key, node);
            return None;
        };
        let open = |item: &'n Spanned<Node>| {
            Object::open(item, table, item.span.first_byte(), self.findings)
        };
        Some(items.iter().map(open).collect())
    }

    /// Reports that a value is not of the type that its key accepts.
    fn refuse_type(&self, key: &Key, node: &Spanned<Node>) {
        let message = format!("`{}` cannot be {}", key.name(), node.value.what());
        self.report(node.span, message, expected(key.kind()));
    }
}

fn expected(kind: &ValueKind) -> String {
    format!("expected: {}", kind.expected())
}

fn unknown_key(key: &Spanned<String>, table: &Table) -> Finding {
    let names = || {
        table
            .keys()
            .map(Key::name)
            .filter(|name| *name != "$schema")
    };
    let message = format!(
        "`{}` is not a key of {}",
        shortened(&key.value),
        table.what()
    );
    if let Some(instead) = table.replacement(&key.value) {
        return Finding::error(key.span, message).help(format!("write {instead} instead"));
    }
    let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
    let meant = did_you_mean(&key.value, names());
    Finding::error(key.span, message).help(format!("{meant}the keys are {}", all.join(", ")))
}

#[cfg(test)]
mod tests;
