//! Metadata contexts in the handshake: what an option asks for, and what the client has chosen.
//!
//! There are `base:allocation` and, where the export's directory has them, contexts of QEMU's kind,
//! `qemu:dirty-bitmap:NAME`. A query names a context. In LIST_META_CONTEXT, the queries `base:`,
//! `qemu:` and `qemu:dirty-bitmap:` name all contexts that begin so, and no query at all names
//! every context; in SET_META_CONTEXT, such wildcards choose nothing. Queries of unknown contexts
//! are ignored, as the protocol demands. A choice replaces the previous one, even if it fails, and
//! holds only for the export that it named.
//!
//! Invariant: an option asks the directory for few contexts ([`CHANGED_CONTEXTS_MAX`]), however
//! many queries it has.

use crate::changed::{CHANGED_CONTEXTS_MAX, ContextHandle};
use crate::export::{Export, ExportDirectory};
use disktime_nbd_protocol::{MAXIMUM_STRING_BYTES, allocation, be32, dirty_bitmap};

/// The number of `base:allocation` in the transmission phase; those of the others follow.
pub(super) const ALLOCATION_NUMBER: u32 = 1;
/// The namespace of the contexts that the protocol itself defines.
const BASE_NAMESPACE: &str = "base:";

/// The contexts that a client chose, and for which export.
#[derive(Debug)]
pub(super) struct ContextSelection {
    /// The export's own name, also if the client used the empty name.
    export: String,
    allocation: bool,
    changed: Vec<ContextHandle>,
}

impl ContextSelection {
    pub(super) fn new(
        export: &Export,
        allocation: bool,
        changed: Vec<ContextHandle>,
    ) -> ContextSelection {
        ContextSelection {
            export: export.name.clone(),
            allocation,
            changed,
        }
    }

    /// Whether it was made for `export`.
    pub(super) fn is_for(&self, export: &Export) -> bool {
        self.export == export.name
    }

    /// The number of `base:allocation`, if it was chosen.
    pub(super) fn allocation(&self) -> Option<u32> {
        self.allocation.then_some(ALLOCATION_NUMBER)
    }

    /// The others with their numbers.
    pub(super) fn changed(&self) -> impl Iterator<Item = (u32, ContextHandle)> {
        (ALLOCATION_NUMBER + 1..).zip(self.changed.iter().copied())
    }
}

/// The data of LIST_META_CONTEXT or SET_META_CONTEXT.
pub(super) struct ContextQueries<'a> {
    export: &'a str,
    queries: Vec<&'a str>,
}

impl<'a> ContextQueries<'a> {
    /// Parses the data; the error is a text for the client.
    pub(super) fn parse(data: &'a [u8]) -> Result<ContextQueries<'a>, &'static str> {
        let parsed = ContextQueries::parse_strings(data)
            .ok_or("the option's data are not a name and a list of queries")?;
        if parsed.queries.iter().any(|query| !query.contains(':')) {
            return Err("a query has to begin with a namespace and a colon");
        }
        Ok(parsed)
    }

    /// `None` if lengths, counts or strings are not as the protocol demands.
    fn parse_strings(data: &'a [u8]) -> Option<ContextQueries<'a>> {
        let mut rest = data;
        let export = take_string(&mut rest)?;
        let count = take_number(&mut rest)? as usize;
        // Each query has at least its length, so the data limit the count.
        if count > rest.len() / 4 {
            return None;
        }
        let mut queries = Vec::with_capacity(count);
        for _ in 0..count {
            queries.push(take_string(&mut rest)?);
        }
        rest.is_empty()
            .then_some(ContextQueries { export, queries })
    }

    /// The export that the client named.
    pub(super) fn export(&self) -> &'a str {
        self.export
    }

    /// Whether `base:allocation` is named itself.
    pub(super) fn name_allocation(&self) -> bool {
        self.contain(allocation::NAME)
    }

    /// Whether `base:allocation` is named itself or by a wildcard.
    pub(super) fn match_allocation(&self) -> bool {
        self.queries.is_empty() || self.contain(BASE_NAMESPACE) || self.name_allocation()
    }

    /// Those of QEMU's contexts that are named themselves, each once; `None` if they are too many.
    pub(super) fn changed_names(&self) -> Option<Vec<&'a str>> {
        let mut names: Vec<&str> = Vec::new();
        for query in &self.queries {
            let is_name = query.starts_with(dirty_bitmap::PREFIX) && *query != dirty_bitmap::PREFIX;
            if !is_name || names.contains(query) {
                continue;
            }
            if names.len() == CHANGED_CONTEXTS_MAX {
                return None;
            }
            names.push(query);
        }
        Some(names)
    }

    /// Of QEMU's contexts of an export the names that match; `None` if too many are named.
    pub(super) fn match_changed(
        &self,
        export: &Export,
        directory: &dyn ExportDirectory,
    ) -> Option<Vec<String>> {
        let named = self.changed_names()?;
        let mut names = match self.queries.is_empty()
            || self.contain(dirty_bitmap::NAMESPACE)
            || self.contain(dirty_bitmap::PREFIX)
        {
            true => directory.contexts(export),
            false => Vec::new(),
        };
        for name in named {
            let is_new = names.iter().all(|listed| listed != name);
            if is_new && directory.find_context(export, name).is_some() {
                names.push(name.to_owned());
            }
        }
        Some(names)
    }

    fn contain(&self, query: &str) -> bool {
        self.queries.contains(&query)
    }
}

/// Takes a number from the front of `rest`.
fn take_number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_at_checked(4)?;
    *rest = after;
    Some(be32(bytes, 0))
}

/// Takes a string, preceded by its length, from the front of `rest`.
fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let len = take_number(rest)? as usize;
    if len > MAXIMUM_STRING_BYTES {
        return None;
    }
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    std::str::from_utf8(bytes).ok()
}
