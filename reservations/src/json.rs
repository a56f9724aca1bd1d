//! A reader of strict JSON (RFC 8259) that keeps the place of every key and value.
//!
//! Why not a library: `serde_json` forgets places, and the parsers that keep them are lenient or
//! stop at the first mistake. This one carries on after the mistakes people make most (comments,
//! a comma too many or too few), so that one run shows them all. Invariants: it never panics,
//! nesting is bounded, and without findings a text is accepted exactly when `serde_json` accepts
//! it (a property test says so). Keys that occur twice are kept; the caller judges them.

mod scalars;

use crate::configuration::Spanned;
use crate::finding::{Finding, Span, shortened};
use std::iter::Peekable;
use std::str::CharIndices;

/// Deeper than any configuration, and shallow enough for any stack.
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
    /// Something whose mistake has its finding already; nobody is to complain of it again.
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
    /// What a person would call it, with its article.
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

    /// The same value without places. Of keys that occur twice the last counts.
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

/// Reads `text`. The tree is `None` when a mistake left no way to go on; mistakes that could be
/// stepped over are findings beside a tree.
pub fn read(text: &str) -> (Option<Spanned<Node>>, Vec<Finding>) {
    let mut reader = Reader {
        text,
        rest: text.char_indices().peekable(),
        findings: Vec::new(),
    };
    let tree = reader.document();
    let findings = reader.findings;
    match tree {
        Ok(tree) => (Some(tree), findings),
        Err(fatal) => (None, findings.into_iter().chain([*fatal]).collect()),
    }
}

/// A mistake after which nothing that follows can be trusted.
type Fatal = Box<Finding>;

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn next(&mut self) -> Option<char> {
        self.rest.next().map(|(_, c)| c)
    }

    fn span_here(&mut self) -> Span {
        let start = self.position();
        Span {
            start,
            end: start + self.peek().map_or(0, char::len_utf8),
        }
    }

    fn document(&mut self) -> Result<Spanned<Node>, Fatal> {
        if self.peek() == Some('\u{feff}') {
            let span = self.span_here();
            self.next();
            self.findings.push(
                Finding::error(span, "the file begins with a byte order mark")
                    .help("save it as UTF-8 without a byte order mark"),
            );
        }
        self.skip_space();
        if self.peek().is_none() {
            let span = self.span_here();
            return Err(Box::new(Finding::error(span, "the file is empty").help(
                "a configuration is a JSON object: { \"state_dir\": …, \"disks\": … }",
            )));
        }
        let tree = self.value(0)?;
        self.skip_space();
        if self.peek().is_some() {
            let span = self.span_here();
            return Err(Box::new(
                Finding::error(span, "something follows after the end of the configuration")
                    .help("a file holds one JSON object; is there a brace too many before this?"),
            ));
        }
        Ok(tree)
    }

    /// Skips white space, and comments with a finding: they are no JSON.
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
        while self.position() < end {
            self.next();
        }
        self.findings.push(
            Finding::error(Span { start, end }, "a comment is not JSON")
                .help("remove it; the file is strict JSON, so that every tool can read it"),
        );
    }

    fn value(&mut self, depth: usize) -> Result<Spanned<Node>, Fatal> {
        let start = self.position();
        if depth > MAX_DEPTH {
            let span = self.span_here();
            return Err(Box::new(
                Finding::error(span, format!("more than {MAX_DEPTH} levels of brackets"))
                    .help("no configuration needs that many; are brackets missing before this?"),
            ));
        }
        let node = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Node::String(self.string()?),
            Some('-' | '0'..='9') => self.number(),
            _ => self.word()?,
        };
        Ok(Spanned {
            value: node,
            span: Span {
                start,
                end: self.position(),
            },
        })
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fatal> {
        let open = self.span_here();
        self.next();
        let mut members = Vec::new();
        loop {
            if self.item_or_end(open, '}', members.is_empty())? {
                return Ok(Node::Object(members));
            }
            if self.peek() != Some('"') {
                return Err(self.unexpected("a key in double quotes, or `}`"));
            }
            let start = self.position();
            let key = self.string()?;
            let span = Span {
                start,
                end: self.position(),
            };
            self.skip_space();
            if self.peek() != Some(':') {
                return Err(self.unexpected(&format!("`:` after the key `{}`", shortened(&key))));
            }
            self.next();
            self.skip_space();
            let value = self.value(depth + 1)?;
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
    fn item_or_end(&mut self, open: Span, close: char, first: bool) -> Result<bool, Fatal> {
        let before = self.position();
        self.skip_space();
        let mut comma = None;
        if !first && self.peek() == Some(',') {
            comma = Some(self.span_here());
            self.next();
            self.skip_space();
        }
        match (self.peek(), comma) {
            (None, _) => Err(Box::new(
                Finding::error(open, "the file ends before this bracket is closed")
                    .help(format!("add the `{close}` that belongs to it")),
            )),
            (Some(found), trailing) if found == close => {
                self.next();
                if let Some(span) = trailing {
                    self.findings.push(
                        Finding::error(span, format!("a comma before `{close}` is not JSON"))
                            .help("remove the comma"),
                    );
                }
                Ok(true)
            }
            (Some('"' | '{' | '[' | '-' | '0'..='9' | 't' | 'f' | 'n'), None) if !first => {
                let span = Span {
                    start: before,
                    end: before,
                };
                self.findings.push(
                    Finding::error(span, "a comma is missing here").help("add `,` at the mark"),
                );
                Ok(false)
            }
            (Some(_), None) if !first => Err(self.unexpected(&format!("`,` or `{close}`"))),
            _ => Ok(false),
        }
    }

    fn unexpected(&mut self, wanted: &str) -> Fatal {
        let span = self.span_here();
        let found = match self.peek() {
            None => "the file ends".to_owned(),
            Some(c) => format!("`{c}` stands"),
        };
        let finding = Finding::error(span, format!("{found} where {wanted} is expected"));
        Box::new(match self.peek() {
            Some('\'') => finding.help("JSON knows double quotes only: \"like this\""),
            Some('“' | '”' | '„') => finding.help("use plain double quotes: \"like this\""),
            _ => finding.help("JSON looks like { \"key\": \"value\", \"list\": [1, 2] }"),
        })
    }
}

#[cfg(test)]
mod tests;
