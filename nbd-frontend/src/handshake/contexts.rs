//! Metadata contexts in the handshake: which there are, and which the client chose.
//!
//! There is one, `base:allocation`. A query names a context; in a list, `base:` alone names all of
//! its namespace and no query at all names everything; in a choice, wildcards choose nothing.
//! Queries of namespaces that are not known here are passed over, as the protocol asks. A choice
//! replaces the one before, even if it fails, and counts only for the export that it named.

use super::Handshake;
use crate::export::{Export, find_export};
use crate::protocol::{MAXIMUM_STRING_BYTES, allocation, be32, option, option_reply};

/// The number of `base:allocation` in transmission.
const ALLOCATION_NUMBER: u32 = 1;
/// The namespace of the contexts that the protocol itself defines.
const BASE: &str = "base:";

/// What a client chose, and for which export.
#[derive(Debug)]
pub(super) struct Selection {
    /// The export's own name, whatever the client called it.
    export: String,
    allocation: bool,
}

impl Selection {
    /// The number of `base:allocation` for a client that goes on with `export`.
    pub(super) fn number_for(&self, export: &Export) -> Option<u32> {
        (self.allocation && self.export == export.name).then_some(ALLOCATION_NUMBER)
    }
}

/// The data of an option about contexts.
struct Question<'a> {
    export: &'a str,
    queries: Vec<&'a str>,
}

impl<'a> Question<'a> {
    /// `None` if lengths, counts or strings are not as the protocol says.
    fn parse(data: &'a [u8]) -> Option<Question<'a>> {
        let mut rest = data;
        let export = string(&mut rest)?;
        let count = number(&mut rest)? as usize;
        // Each query has at least its length, so the data bound the count.
        if count > rest.len() / 4 {
            return None;
        }
        let mut queries = Vec::with_capacity(count);
        for _ in 0..count {
            queries.push(string(&mut rest)?);
        }
        rest.is_empty().then_some(Question { export, queries })
    }

    /// Whether some query has no namespace.
    fn is_malformed(&self) -> bool {
        self.queries.iter().any(|query| !query.contains(':'))
    }

    fn names(&self, context: &str) -> bool {
        self.queries.contains(&context)
    }
}

impl Handshake {
    pub(super) fn list_contexts(&mut self, data: &[u8]) {
        let option = option::LIST_META_CONTEXT;
        let Some((question, _)) = self.question(option, data) else {
            return;
        };
        let all = question.queries.is_empty() || question.names(BASE);
        if all || question.names(allocation::NAME) {
            self.push_context(option, 0);
        }
        self.push_reply(option, option_reply::ACK, &[]);
    }

    pub(super) fn set_contexts(&mut self, data: &[u8]) {
        let option = option::SET_META_CONTEXT;
        self.selection = None;
        let Some((question, export)) = self.question(option, data) else {
            return;
        };
        let allocation = question.names(allocation::NAME);
        if allocation {
            self.push_context(option, ALLOCATION_NUMBER);
        }
        self.selection = Some(Selection {
            export: export.name,
            allocation,
        });
        self.push_reply(option, option_reply::ACK, &[]);
    }

    /// Reads the option's data and finds its export; what is wrong is answered here.
    fn question<'a>(&mut self, option: u32, data: &'a [u8]) -> Option<(Question<'a>, Export)> {
        let question = match Question::parse(data) {
            _ if !self.structured => Err("ask for structured replies first"),
            None => Err("the option's data are not a name and a list of queries"),
            Some(question) if question.is_malformed() => {
                Err("a query begins with a namespace and a colon")
            }
            Some(question) => Ok(question),
        };
        let question = match question {
            Ok(question) => question,
            Err(text) => {
                self.push_reply(option, option_reply::ERR_INVALID, text.as_bytes());
                return None;
            }
        };
        let Some(export) = find_export(&*self.directory, question.export) else {
            self.refuse_name(option, question.export);
            return None;
        };
        Some((question, export))
    }

    fn push_context(&mut self, option: u32, number: u32) {
        let mut body = number.to_be_bytes().to_vec();
        body.extend_from_slice(allocation::NAME.as_bytes());
        self.push_reply(option, option_reply::META_CONTEXT, &body);
    }
}

/// Takes a number from the front of `rest`.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    Some(be32(bytes, 0))
}

/// Takes a string with its length from the front of `rest`.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let len = number(rest)? as usize;
    if len > MAXIMUM_STRING_BYTES {
        return None;
    }
    let (bytes, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    std::str::from_utf8(bytes).ok()
}
