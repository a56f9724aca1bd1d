//! Words, numbers and texts of JSON: the leaves of the tree. After a wrong number or escape the
//! parser reports it and goes on; after a word that is not JSON it stops, because it cannot tell
//! where that value ends.

use super::{Fatal, Node, Parser};
use crate::finding::shortened;
use crate::span::Span;

impl Parser<'_> {
    /// `true`, `false` or `null`; anything else is no JSON.
    pub(super) fn word(&mut self) -> Result<Node, Fatal> {
        let start = self.position();
        let tail = &self.text[start..];
        let end = tail
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(tail.len());
        let node = match &tail[..end] {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            "null" => Node::Null,
            "" => return Err(self.unexpected("a value")),
            word => {
                let span = Span {
                    start,
                    end: start + end,
                };
                let message = format!("`{}` is not a JSON value", shortened(word));
                let help = "write texts in double quotes; true, false and null without quotes";
                return Err(self.fatal(span, message, help));
            }
        };
        self.skip_to(start + end);
        Ok(node)
    }

    pub(super) fn number(&mut self) -> Node {
        let start = self.position();
        while self
            .peek()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '%'))
        {
            self.next();
        }
        let span = self.span_from(start);
        let written = &self.text[start..span.end];
        serde_json::from_str(written).map_or_else(
            |_| {
                let wrong = format!("`{}` is not a JSON number", shortened(written));
                let help = match written.starts_with('0') && written.chars().all(char::is_numeric) {
                    true => "write it without the leading zero",
                    false => "quantities with a unit are texts in double quotes, as in \"500ms\"",
                };
                self.report(span, wrong, help);
                Node::Broken
            },
            Node::Number,
        )
    }

    pub(super) fn string(&mut self) -> Result<String, Fatal> {
        let start = self.position();
        self.next();
        let mut text = String::new();
        loop {
            let at = self.position();
            match self.next() {
                None | Some('\n') => {
                    let message = "this text has no closing `\"` in its line";
                    return Err(self.fatal(Span { start, end: at }, message, "add the `\"`"));
                }
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(at)),
                Some(c) if c < ' ' => {
                    let span = self.span_from(at);
                    let code = u32::from(c);
                    let message = format!("this text contains a control character (U+{code:04X})");
                    self.report(span, message, format!("write it as \\u{code:04x}"));
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// What stands after a backslash at `at`. A wrong escape is reported and becomes U+FFFD.
    fn escape(&mut self, at: usize) -> char {
        let escaped = match self.peek() {
            Some('u') => {
                self.next();
                self.unicode()
            }
            Some(c) => match c {
                '"' | '\\' | '/' => Some(c),
                'b' => Some('\u{8}'),
                'f' => Some('\u{c}'),
                'n' => Some('\n'),
                'r' => Some('\r'),
                't' => Some('\t'),
                _ => None,
            }
            .inspect(|_| {
                self.rest.next();
            }),
            None => None,
        };
        escaped.unwrap_or_else(|| {
            let span = Span {
                start: at,
                end: self.span_here().end,
            };
            let help =
                "expected: \\\" \\\\ \\/ \\b \\f \\n \\r \\t, or \\u with four hexadecimal digits";
            self.report(span, "JSON has no such escape", help);
            char::REPLACEMENT_CHARACTER
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value * 16 + self.peek()?.to_digit(16)?;
            self.next();
        }
        Some(value)
    }

    /// The character of a `\u` escape; those beyond U+FFFF are written as two.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        for expected in ['\\', 'u'] {
            if self.peek() != Some(expected) {
                return None;
            }
            self.next();
        }
        let second = self.four_digits()?;
        if !(0xDC00..0xE000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }
}
