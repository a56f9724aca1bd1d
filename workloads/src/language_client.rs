//! One client of a workload file: its virtual disk, when and in which range it runs, and the trace
//! that it replays. Generators are read in `language_generated`.

use crate::keys::{GENERATOR_KEYS, REQUEST_KEYS, TRACE_KEYS};
use crate::language_generated::{generated, span};
use crate::trace::{Fit, Timing, TraceSource};
use crate::trace::{TraceEvent, TraceFormat, TraceOptions, Unsorted};
use crate::values::device;
use crate::workload::{Client, ClientExcerpts, OPEN_DEPTH, RequestSource};
use disktime_documents::{Document, Key, Object, Spanned};
use disktime_units::Nanos;
use std::path::Path;

/// Reads the client `name`, which stops at `until` at the latest.
pub(crate) fn client(
    document: &Document,
    name: &Spanned<String>,
    object: &Object<'_>,
    until: Nanos,
) -> Option<Client> {
    let vdisk = object.parsed("vdisk", |name| match name {
        "" => Err("the name is empty".to_owned()),
        name => Ok(name.to_owned()),
    });
    let source = if object.has("trace") {
        let why = "a client that replays a trace";
        for keys in [GENERATOR_KEYS, REQUEST_KEYS] {
            object.refuse_keys(&names(keys), why, "remove it, or remove `trace`");
        }
        trace(document.directory(), object).map(RequestSource::Trace)
    } else {
        let why = "a client without a trace";
        object.refuse_keys(&names(TRACE_KEYS), why, "remove it, or add `trace`");
        generated(object).map(RequestSource::Generated)
    };
    let mut client = Client::new(&name.value, &vdisk?.value, until);
    let depth = object.integer("depth").map(Spanned::into_value);
    read_window(object, &mut client, until);
    client.offset_bytes = object.size("offset").map_or(0, Spanned::into_value);
    client.span_bytes = span(object);
    client.source = source?;
    client.depth = depth.unwrap_or(match &client.source {
        RequestSource::Generated(generated) => generated.default_depth(),
        RequestSource::Trace(_) => OPEN_DEPTH,
    });
    let place = |key: &str| object.node(key).map(|value| document.excerpt(value.span));
    let own = Some(document.excerpt(name.span));
    client.excerpts = ClientExcerpts {
        vdisk: place("vdisk"),
        client: own.clone(),
        range: place("span")
            .or_else(|| place("offset"))
            .or_else(|| own.clone()),
        trace: place("trace").or(own),
    };
    Some(client)
}

fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(Key::name).collect()
}

fn read_window(object: &Object<'_>, client: &mut Client, until: Nanos) {
    client.start = object
        .duration("start")
        .map_or(Nanos::ZERO, Spanned::into_value);
    let stop = object.duration("stop").map_or(until, Spanned::into_value);
    client.stop = stop.min(until);
    if client.start >= client.stop {
        let key = ["start", "stop"]
            .into_iter()
            .find_map(|key| object.node(key));
        if let Some(value) = key {
            let (start, stop) = (client.start, client.stop);
            let message = format!("a client that starts at {start} and stops at {stop} never runs");
            let help = "expected: `start` before `stop` and before the end of the workload";
            object.report(value.span, message, help);
        }
    }
}

fn trace(directory: &Path, object: &Object<'_>) -> Option<TraceSource> {
    let path = object.path("trace");
    let format = object
        .chosen("format", &FORMATS)
        .and_then(Spanned::into_value);
    let event = object.chosen("event", &EVENTS);
    let unsorted = object.chosen("unsorted", &UNSORTED);
    let fit = object.chosen("fit", &FITS);
    if format.is_some_and(|format| format != TraceFormat::Blkparse) {
        let what = "formats other than blkparse";
        object.refuse_keys(&["event"], what, "remove it, or `format`");
    }
    let dev = device(object);
    let timing = timing(object);
    Some(TraceSource {
        path: directory.join(path?.value),
        options: TraceOptions {
            format,
            event: event.map(Spanned::into_value).unwrap_or_default(),
            unsorted: unsorted.map(Spanned::into_value).unwrap_or_default(),
        },
        dev,
        timing,
        fit: fit.map_or(Fit::Refuse, Spanned::into_value),
    })
}

fn timing(object: &Object<'_>) -> Timing {
    let is_recorded = object
        .chosen("timing", &TIMINGS)
        .is_none_or(Spanned::into_value);
    let speed = object.number("speed").map_or(1.0, Spanned::into_value);
    let max_gap = object.duration("max_gap").map(Spanned::into_value);
    if is_recorded {
        let speed_ppm = (speed * 1e6).round() as u64;
        return Timing::Recorded { speed_ppm, max_gap };
    }
    let what = "requests that come as fast as the replies";
    object.refuse_keys(&["speed", "max_gap"], what, "remove it, or `timing`");
    Timing::AsFastAsPossible
}

const FORMATS: [(&str, Option<TraceFormat>); 6] = [
    ("auto", None),
    ("csv", Some(TraceFormat::Csv)),
    ("msr", Some(TraceFormat::Msr)),
    ("spc", Some(TraceFormat::Spc)),
    ("blkparse", Some(TraceFormat::Blkparse)),
    ("fio", Some(TraceFormat::Fio)),
];
const EVENTS: [(&str, TraceEvent); 2] = [
    ("queued", TraceEvent::Queued),
    ("issued", TraceEvent::Issued),
];
const UNSORTED: [(&str, Unsorted); 2] =
    [("refuse", Unsorted::Refuse), ("at-once", Unsorted::AtOnce)];
const TIMINGS: [(&str, bool); 2] = [("recorded", true), ("asap", false)];
const FITS: [(&str, Fit); 3] = [
    ("refuse", Fit::Refuse),
    ("wrap", Fit::Wrap),
    ("scale", Fit::Scale),
];
