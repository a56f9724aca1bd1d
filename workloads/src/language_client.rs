//! One client of a workload file: whose it is, when and where it runs, and what it replays.
//! What it makes up is read in `language_generated`.

use crate::keys::{KEYS, Of};
use crate::language::{Object, Read, Reader};
use crate::trace::{TraceEvent, TraceFormat, TraceOptions, Unsorted};
use crate::values::{device, duration, integer, size, speed, text};
use crate::workload::{
    Client, ClientPlaces, Fit, MAX_DEPTH, OPEN_DEPTH, Source, Timing, TraceSource,
};
use disktime_reservations::{Member, Node};
use disktime_units::Nanos;

impl Reader<'_> {
    pub(crate) fn client(&mut self, member: &Member, until: Nanos) -> Read<Client> {
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
                .map(Source::Generated)
        };
        let mut client = Client::new(name, &vdisk?, until);
        let depth = self
            .optional(&object, "depth", |node| {
                integer(node, 1, u64::from(MAX_DEPTH))
            })
            .and_then(|depth| u32::try_from(depth).ok());
        self.window(&object, &mut client, until);
        client.offset_bytes = self.optional(&object, "offset", size).unwrap_or(0);
        client.span_bytes = self.span(&object);
        client.source = source?;
        client.depth = depth.unwrap_or(match &client.source {
            Source::Generated(generated) => generated.default_depth(),
            Source::Trace(_) => OPEN_DEPTH,
        });
        let place = |key: &str| object.get(key).map(|value| self.location(value.span));
        let own = Some(self.location(member.key.span));
        client.places = ClientPlaces {
            vdisk: place("vdisk"),
            client: own.clone(),
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

    fn trace(&mut self, object: &Object<'_>) -> Read<Source> {
        let path = self.optional(object, "trace", |node| match text(node)? {
            "" => Err("the file's name is empty".to_owned()),
            name => Ok(name.to_owned()),
        });
        let format = self.choice(object, "format", &FORMATS, "a format of traces");
        let event = self.choice(object, "event", &EVENTS, "an event that can be replayed");
        let unsorted = self.choice(object, "unsorted", &UNSORTED, "a way to deal with them");
        let fit = self.choice(object, "fit", &FITS, "a way to fit a trace");
        if format
            .flatten()
            .is_some_and(|format| format != TraceFormat::Blkparse)
        {
            let why = "for other formats than blkparse";
            self.without(object, &["event"], why, "remove it, or `format`");
        }
        let dev = self.optional(object, "dev", device);
        let timing = self.timing(object);
        Some(Source::Trace(TraceSource {
            path: self.directory.join(path?),
            options: TraceOptions {
                format: format.unwrap_or(None),
                event: event.unwrap_or_default(),
                unsorted: unsorted.unwrap_or_default(),
            },
            dev,
            timing,
            fit: fit.unwrap_or(Fit::Refuse),
        }))
    }

    fn timing(&mut self, object: &Object<'_>) -> Timing {
        let recorded = self
            .choice(object, "timing", &TIMINGS, "a timing")
            .unwrap_or(true);
        let speed_ppm = self.optional(object, "speed", speed).unwrap_or(1_000_000);
        let max_gap = self.optional(object, "max_gap", duration);
        if recorded {
            return Timing::Recorded { speed_ppm, max_gap };
        }
        let why = "when requests come as fast as answers do";
        self.without(object, &["speed", "max_gap"], why, "remove it, or `timing`");
        Timing::AsFastAsPossible
    }

    /// One of some words, and what it stands for.
    fn choice<T: Copy>(
        &mut self,
        object: &Object<'_>,
        name: &str,
        choices: &[(&str, T)],
        what: &str,
    ) -> Read<T> {
        self.optional(object, name, |node| {
            let written = text(node)?;
            choices
                .iter()
                .find(|(word, _)| *word == written)
                .map(|(_, choice)| *choice)
                .ok_or_else(|| format!("`{written}` is not {what}"))
        })
    }
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
