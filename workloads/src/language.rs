//! The workload file: strict JSON, every mistake with its place and what would be accepted.
//!
//! `{ "duration": "60s", "seed": 1, "clients": { "reader": { "vdisk": "web", … } } }`
//!
//! Invariants: no text makes it panic; whatever it accepts can be run on a virtual disk that is
//! large enough; what is left out has the default that [`KEYS`] names. The keys of a client are
//! listed once, in [`KEYS`]; a new generator adds its keys there and its reading below.
//! What is not known here: which virtual disks there are, and how large.

use crate::keys::{
    KEYS, Key, Of, ROOT_KEYS, convert_text, duration, integer, positive_duration, rate, size,
    speed, text,
};
use crate::workload::{
    Client, ClientPlaces, Fit, Generated, MAX_DEPTH, MAX_REQUEST_BYTES, Pace, Source, TRACE_DEPTH,
    TraceSource, Workload,
};
use crate::{Location, Pattern, WorkloadError};
use disktime_reservations::{Finding, Member, Node, Span, Spanned, nearest, read_json};
use disktime_units::{Nanos, Share, parse_share};
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
type Read<T> = Option<T>;

struct Reader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    directory: &'a Path,
    findings: Vec<Finding>,
}

/// An object whose keys are checked.
struct Object<'a> {
    members: &'a [Member],
    keys: &'static [Key],
}

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&'a Spanned<Node>> {
        self.members
            .iter()
            .find(|member| member.key.value == name)
            .map(|member| &member.value)
    }

    fn accepted(&self, name: &str) -> &'static str {
        self.keys
            .iter()
            .find(|key| key.0 == name)
            .map_or("", |key| key.2)
    }
}

impl Reader<'_> {
    fn note(&mut self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.push(Finding::error(span, message).help(help));
    }

    fn location(&self, span: Span) -> Location {
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
    fn object<'t>(
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
    fn optional<'t, T>(
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

    fn required<'t, T>(
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

    fn client(&mut self, member: &Member, until: Nanos) -> Read<Client> {
        let name = &member.key.value;
        let Node::Object(members) = &member.value.value else {
            if member.value.value == Node::Broken {
                return None;
            }
            let help =
                "a client is an object, as in { \"vdisk\": \"web\", \"pattern\": \"random\" }";
            self.note(
                member.value.span,
                format!("a client is not {}", member.value.value.what()),
                help,
            );
            return None;
        };
        let object = self.object("a client", members, &KEYS);
        let vdisk = self.required(&object, member.value.span, "a client", "vdisk", |node| {
            text(node).and_then(|name| match name {
                "" => Err("the name is empty".to_owned()),
                name => Ok(name.to_owned()),
            })
        });
        let is_trace = object.get("trace").is_some();
        self.only_own_keys(&object, is_trace);
        let source = if is_trace {
            self.trace(&object)
        } else {
            self.generated(&object, member.value.span)
        };
        let mut client = Client::new(name, &vdisk?, until);
        client.depth = self
            .optional(&object, "depth", |node| {
                integer(node, 1, u64::from(MAX_DEPTH))
            })
            .and_then(|depth| u32::try_from(depth).ok())
            .unwrap_or(if is_trace { TRACE_DEPTH } else { 1 });
        self.window(&object, &mut client, until);
        client.offset_bytes = self.optional(&object, "offset", size).unwrap_or(0);
        client.span_bytes = self.optional(&object, "span", |node| match size(node) {
            Ok(0) => Err("a part of no bytes cannot be used".to_owned()),
            other => other,
        });
        client.source = source?;
        let place = |key: &str| object.get(key).map(|value| self.location(value.span));
        let own = Some(self.location(member.key.span));
        client.places = ClientPlaces {
            vdisk: place("vdisk"),
            range: place("span")
                .or_else(|| place("offset"))
                .or_else(|| own.clone()),
            trace: place("trace").or(own),
        };
        Some(client)
    }

    /// A replayed client makes nothing up, and a made-up one replays nothing.
    fn only_own_keys(&mut self, object: &Object<'_>, is_trace: bool) {
        for member in object.members {
            let of = object
                .keys
                .iter()
                .find(|key| key.0 == member.key.value)
                .map(|key| key.1);
            let name = &member.key.value;
            match of {
                Some(Of::Generated) if is_trace => {
                    let message =
                        format!("`{name}` has no meaning for a client that replays a trace");
                    self.note(member.key.span, message, "remove it, or remove `trace`");
                }
                Some(Of::Trace) if !is_trace => {
                    let message = format!("`{name}` has no meaning without a trace");
                    self.note(member.key.span, message, "remove it, or add `trace`");
                }
                _ => {}
            }
        }
    }

    fn window(&mut self, object: &Object<'_>, client: &mut Client, until: Nanos) {
        client.start = self
            .optional(object, "start", duration)
            .unwrap_or(Nanos::ZERO);
        client.stop = self
            .optional(object, "stop", duration)
            .unwrap_or(until)
            .min(until);
        if client.start >= client.stop {
            let key = ["start", "stop"]
                .into_iter()
                .find_map(|key| object.get(key));
            if let Some(value) = key {
                let message = format!(
                    "the client would start at {} and stop at {}, and never run",
                    client.start, client.stop
                );
                self.note(
                    value.span,
                    message,
                    "`start` is before `stop`, and before the workload's end",
                );
            }
        }
    }

    fn generated(&mut self, object: &Object<'_>, span: Span) -> Read<Source> {
        let run = self.optional(object, "run", |node| integer(node, 1, 1 << 40));
        let pattern = self.pattern(object, run, span);
        let block_bytes = self.optional(object, "block", |node| match size(node)? {
            0 => Err("a request of no bytes asks for nothing".to_owned()),
            bytes if bytes > MAX_REQUEST_BYTES => Err("a request has 32 MiB at most".to_owned()),
            bytes => Ok(bytes),
        });
        let read = self.optional(object, "read", |node| convert_text(node, parse_share));
        let think = self
            .optional(object, "think", duration)
            .unwrap_or(Nanos::ZERO);
        let rate = self.optional(object, "rate", rate);
        if let (Some(_), true, Some(value)) = (rate, think > Nanos::ZERO, object.get("think")) {
            let help =
                "remove `think` for requests at a constant rate, or `rate` for a closed loop";
            self.note(
                value.span,
                "with a rate nobody waits for answers, so nobody thinks",
                help,
            );
        }
        Some(Source::Generated(Generated {
            pattern: pattern?,
            block_bytes: block_bytes.unwrap_or(4096),
            read: read.unwrap_or(Share::WHOLE),
            pace: rate.map_or(Pace::Closed { think }, |rate| Pace::Constant { rate }),
        }))
    }

    fn pattern(&mut self, object: &Object<'_>, run: Option<u64>, span: Span) -> Read<Pattern> {
        let Some(value) = object.get("pattern") else {
            return Some(Pattern::Random);
        };
        let name = self.optional(object, "pattern", |node| match text(node)? {
            name @ ("random" | "sequential" | "semi-random") => Ok(name),
            other => Err(format!("`{other}` is not a pattern")),
        })?;
        match (name, run) {
            ("random", _) => Some(Pattern::Random),
            ("sequential", _) => Some(Pattern::Sequential),
            (_, Some(run)) => Some(Pattern::SemiRandom { run }),
            (_, None) => {
                if object.get("run").is_none() {
                    let at = if value.span.end > value.span.start {
                        value.span
                    } else {
                        span
                    };
                    let help = format!("`run` is {}", object.accepted("run"));
                    self.note(at, "a semi-random client needs the key `run`", help);
                }
                None
            }
        }
    }

    fn trace(&mut self, object: &Object<'_>) -> Read<Source> {
        let path = self.optional(object, "trace", |node| match text(node)? {
            "" => Err("the file's name is empty".to_owned()),
            name => Ok(name.to_owned()),
        });
        let dev = self.optional(object, "dev", |node| integer(node, 0, u64::MAX));
        let speed_ppm = self.optional(object, "speed", speed).unwrap_or(1_000_000);
        let fit = self.optional(object, "fit", |node| match text(node)? {
            "refuse" => Ok(Fit::Refuse),
            "wrap" => Ok(Fit::Wrap),
            "scale" => Ok(Fit::Scale),
            other => Err(format!("`{other}` is not a way to fit a trace")),
        });
        Some(Source::Trace(TraceSource {
            path: self.directory.join(path?),
            dev,
            speed_ppm,
            fit: fit.unwrap_or(Fit::Refuse),
        }))
    }
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;
