//! Places in a document: byte ranges, values with their byte range, lines and columns.

/// A stretch of the document's text, in bytes; `end` is not part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The first byte of this stretch: the opening bracket of an object or a list.
    pub fn first_byte(self) -> Span {
        Span {
            start: self.start,
            end: (self.start + 1).min(self.end),
        }
    }
}

/// A value and where it stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Another value at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            value: change(self.value),
            span: self.span,
        }
    }

    /// The value without its place.
    pub fn into_value(self) -> T {
        self.value
    }
}

/// A line and a column, both from 1; columns count characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}
