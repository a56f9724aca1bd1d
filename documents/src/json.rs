//! A reader of strict JSON (RFC 8259) that keeps the place of every key and value.
//!
//! Why not a library: `serde_json` forgets places, and the parsers that keep them are lenient or
//! stop at the first mistake. This one carries on after the mistakes people make most (comments,
//! a comma too many or too few), so that one run shows them all. Invariants: it never panics,
//! nesting is bounded, and without findings a text is accepted exactly when `serde_json` accepts
//! it (a property test compares the two), except that a key which occurs twice in an object is a
//! mistake here; the tree has the first of them.

mod scalars;

use crate::finding::{Findings, shortened};
use crate::key::{Table, ValueKind};
use crate::span::{Span, Spanned};
use std::collections::HashSet;
use std::iter::Peekable;
use std::str::CharIndices;

/// Deeper than any document that is meant to be read, and shallow enough for any stack.
const MAX_DEPTH: usize = 64;

/// A JSON value; a number is kept as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text, unescaped.
    String(String),
    /// A list.
    Array(Vec<Spanned<Node>>),
    /// An object, its members in file order.
    Object(Vec<Member>),
    /// A value whose mistake is reported already; it must not be reported again.
    Broken,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The key, unescaped.
    pub key: Spanned<String>,
    /// Its value.
    pub value: Spanned<Node>,
}

impl Node {
    /// What it is called in a sentence, with its article.
    pub fn what(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(true) => "true",
            Node::Bool(false) => "false",
            Node::Number(_) => "a number",
            Node::String(_) => "a text",
            Node::Array(_) => "a list",
            Node::Object(_) => "an object",
            Node::Broken => "unreadable",
        }
    }

    /// The same value without places.
    pub fn to_value(&self) -> serde_json::Value {
        match self {
            Node::Null | Node::Broken => serde_json::Value::Null,
            Node::Bool(value) => serde_json::Value::Bool(*value),
            Node::Number(number) => serde_json::Value::Number(number.clone()),
            Node::String(text) => serde_json::Value::String(text.clone()),
            Node::Array(items) => items.iter().map(|item| item.value.to_value()).collect(),
            Node::Object(members) => members
                .iter()
                .map(|member| (member.key.value.clone(), member.value.value.to_value()))
                .collect(),
        }
    }
}

/// Parses `text` as an object of `table`, which is named in messages. `None` after a mistake that
/// leaves no way to go on; after other mistakes there is a tree beside the findings.
pub(crate) fn parse(text: &str, table: &Table, findings: &Findings) -> Option<Spanned<Node>> {
    let mut parser = Parser {
        text,
        rest: text.char_indices().peekable(),
        findings,
    };
    parser.document(table).ok()
}

/// A mistake after which nothing that follows can be trusted. It is reported already.
struct Fatal;

struct Parser<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    findings: &'a Findings,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn next(&mut self) -> Option<char> {
        self.rest.next().map(|(_, c)| c)
    }

    fn skip_to(&mut self, end: usize) {
        while self.position() < end {
            self.next();
        }
    }

    /// From `start` to here.
    fn span_from(&mut self, start: usize) -> Span {
        Span {
            start,
            end: self.position(),
        }
    }

    /// The next character.
    fn span_here(&mut self) -> Span {
        let start = self.position();
        Span {
            start,
            end: start + self.peek().map_or(0, char::len_utf8),
        }
    }

    fn report(&self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.report(span, message, help);
    }

    fn fatal(&self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) -> Fatal {
        self.report(span, message, help);
        Fatal
    }

    fn document(&mut self, table: &Table) -> Result<Spanned<Node>, Fatal> {
        if self.peek() == Some('\u{feff}') {
            let span = self.span_here();
            self.next();
            let help = "save the file as UTF-8 without a byte order mark";
            self.report(span, "the file begins with a byte order mark", help);
        }
        self.skip_space();
        if self.peek().is_none() {
            let example = ValueKind::object_example(table);
            let help = format!(
                "expected: {} as a JSON object, as in {example}",
                table.what()
            );
            let span = self.span_here();
            return Err(self.fatal(span, "the file is empty", help));
        }
        let tree = self.value(0)?;
        self.skip_space();
        if self.peek().is_some() {
            let span = self.span_here();
            let message = "there is more text after the end of the JSON object";
            let help =
                "a file holds one JSON object; check for a closing brace too many before this";
            return Err(self.fatal(span, message, help));
        }
        Ok(tree)
    }

    /// Skips white space; comments too, each with a finding.
    fn skip_space(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\n' | '\r') => {
                    self.next();
                }
                Some('/') if self.text[self.position()..].starts_with("//") => self.comment("\n"),
                Some('/') if self.text[self.position()..].starts_with("/*") => self.comment("*/"),
                _ => return,
            }
        }
    }

    fn comment(&mut self, until: &str) {
        let start = self.position();
        let body = &self.text[start + 2..];
        let end = match body.find(until) {
            Some(at) if until == "\n" => start + 2 + at,
            Some(at) => start + 2 + at + until.len(),
            None => self.text.len(),
        };
        self.skip_to(end);
        let help = "remove the comment: the file is strict JSON, so that every tool can read it";
        self.report(Span { start, end }, "JSON has no comments", help);
    }

    fn value(&mut self, depth: usize) -> Result<Spanned<Node>, Fatal> {
        let start = self.position();
        if depth > MAX_DEPTH {
            let span = self.span_here();
            let message = format!("there are more than {MAX_DEPTH} levels of brackets");
            return Err(self.fatal(
                span,
                message,
                "check for missing closing brackets before this",
            ));
        }
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Node::String(self.string()?),
            Some('-' | '0'..='9') => self.number(),
            _ => self.word()?,
        };
        Ok(Spanned {
            value,
            span: self.span_from(start),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fatal> {
        let open = self.span_here();
        self.next();
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        let mut is_first = true;
        loop {
            if self.item_or_end(open, '}', is_first)? {
                return Ok(Node::Object(members));
            }
            is_first = false;
            if self.peek() != Some('"') {
                return Err(self.unexpected("a key in double quotes, or `}`"));
            }
            let start = self.position();
            let key = self.string()?;
            let span = self.span_from(start);
            self.skip_space();
            if self.peek() != Some(':') {
                return Err(self.unexpected(&format!("`:` after the key `{}`", shortened(&key))));
            }
            self.next();
            self.skip_space();
            let value = self.value(depth + 1)?;
            if !seen.insert(key.clone()) {
                let message = format!("`{}` occurs twice in this object", shortened(&key));
                self.report(span, message, "remove or rename one of them");
                continue;
            }
            members.push(Member {
                key: Spanned { value: key, span },
                value,
            });
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, Fatal> {
        let open = self.span_here();
        self.next();
        let mut items = Vec::new();
        loop {
            if self.item_or_end(open, ']', items.is_empty())? {
                return Ok(Node::Array(items));
            }
            items.push(self.value(depth + 1)?);
        }
    }

    /// Before an item of a list or object: takes the comma and says whether the end is reached.
    fn item_or_end(&mut self, open: Span, close: char, is_first: bool) -> Result<bool, Fatal> {
        let before = self.position();
        self.skip_space();
        let mut comma = None;
        if !is_first && self.peek() == Some(',') {
            comma = Some(self.span_here());
            self.next();
            self.skip_space();
        }
        match (self.peek(), comma) {
            (None, _) => {
                let help = format!("add the `{close}` that closes it");
                Err(self.fatal(open, "the file ends before this bracket is closed", help))
            }
            (Some(found), trailing) if found == close => {
                self.next();
                if let Some(span) = trailing {
                    let message = format!("JSON has no comma before `{close}`");
                    self.report(span, message, "remove the comma");
                }
                Ok(true)
            }
            (Some('"' | '{' | '[' | '-' | '0'..='9' | 't' | 'f' | 'n'), None) if !is_first => {
                let span = Span {
                    start: before,
                    end: before,
                };
                self.report(span, "a comma is missing here", "add `,` at the mark");
                Ok(false)
            }
            (Some(_), None) if !is_first => Err(self.unexpected(&format!("`,` or `{close}`"))),
            _ => Ok(false),
        }
    }

    fn unexpected(&mut self, expected: &str) -> Fatal {
        let span = self.span_here();
        let found = self.peek();
        let message = match found {
            None => format!("expected {expected}, found the end of the file"),
            Some(c) => format!("expected {expected}, found `{c}`"),
        };
        let help = match found {
            Some('\'') => "JSON has double quotes only: \"like this\"",
            Some('“' | '”' | '„') => "use plain double quotes: \"like this\"",
            _ => "JSON looks like { \"key\": \"value\", \"list\": [1, 2] }",
        };
        self.fatal(span, message, help)
    }
}

#[cfg(test)]
mod tests;
