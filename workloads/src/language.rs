//! The workload file: strict JSON, every mistake with its place and what was expected.
//!
//! `{ "duration": "60s", "seed": 1, "clients": { "reader": { "vdisk": "web", … } } }`
//!
//! Invariants: no text makes it panic; a workload that it accepts can run on every virtual disk
//! that is large enough; a key that is left out has the default that `keys` names. The keys are
//! listed once, in `keys`; `language_client` reads a client, `language_generated` its generator.
//! What is not known here: which virtual disks exist, and their sizes.

use crate::WorkloadError;
use crate::keys::{CLIENT, ROOT};
use crate::language_client::client;
use crate::workload::Workload;
use disktime_documents::{Document, Member, Object, read_document};
use disktime_units::{Nanos, parse_duration};
use std::path::Path;

impl Workload {
    /// Reads a workload file; relative paths of traces start at its directory.
    ///
    /// # Errors
    /// Every mistake in it, each with line and column and what was expected.
    pub fn read(path: &Path) -> Result<Workload, WorkloadError> {
        Workload::read_for(path, None, None)
    }

    /// The same with another duration, written as in a file, and another seed, where they are
    /// given. A client that stops later than that stops then.
    ///
    /// # Errors
    /// As for [`Workload::read`], and a duration that is none.
    pub fn read_for(
        path: &Path,
        duration: Option<&str>,
        seed: Option<u64>,
    ) -> Result<Workload, WorkloadError> {
        let duration = duration.map(duration_given).transpose()?;
        workload(&Document::load(path, ROOT.what())?, duration, seed)
    }

    /// Reads the text of a workload file; `path` is for messages and for paths in it.
    ///
    /// # Errors
    /// As for [`Workload::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Workload, WorkloadError> {
        workload(&Document::new(path, text), None, None)
    }
}

/// A duration that is given beside the file.
fn duration_given(text: &str) -> Result<Nanos, WorkloadError> {
    let duration = parse_duration(text).ok().filter(|it| *it > Nanos::ZERO);
    duration.ok_or_else(|| {
        WorkloadError::new(format!("`{text}` is not how long a workload can run"))
            .help("expected: a duration above 0s, as in `60s`")
    })
}

fn workload(
    document: &Document,
    duration_given: Option<Nanos>,
    seed_given: Option<u64>,
) -> Result<Workload, WorkloadError> {
    let workload = read_document(document, &ROOT, |root| {
        let duration = root.duration("duration").map(|duration| duration.value);
        // Without a duration the mistakes of the clients are still worth showing.
        let until = duration_given.or(duration).unwrap_or(Nanos::MAX);
        let seed = root.integer("seed").map_or(1, |seed| seed.value);
        let mut workload = Workload::new(until, seed_given.unwrap_or(seed));
        for Member { key, value } in root.named("clients") {
            let object = Object::open(value, &CLIENT, key.span, root.findings());
            let client = object.and_then(|object| client(document, key, &object, until));
            workload.clients.extend(client);
        }
        duration.map(|_| workload)
    })?;
    Ok(workload)
}

#[cfg(test)]
mod tests;
