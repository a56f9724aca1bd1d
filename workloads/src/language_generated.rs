//! What a client of a workload file makes up: a kind with its defaults, changed key by key.
//!
//! Invariant: a key that would have no effect is refused, because whoever wrote it expected one.

use crate::Pattern;
use crate::generated::{Blocks, Files, Generated, MixPart, Pace, Requests, Times};
use crate::keys::MIX_KEYS;
use crate::kinds::Kind;
use crate::language::{Object, Read, Reader};
use crate::places::Popularity;
use crate::values::{convert_text, flag, integer, kind, pace, periods, size, text, theta, times};
use crate::workload::MAX_REQUEST_BYTES;
use disktime_reservations::{Node, Span, Spanned};
use disktime_units::{Nanos, parse_share};
use std::num::NonZeroU32;

/// The most parts of a mix, and the most that a weight or a transaction may be.
const MAX_PARTS: usize = 64;
const MAX_COUNT: u64 = 1_000_000;

/// The keys that say what is asked for; a mix has them in its parts instead.
const REQUEST_KEYS: [&str; 8] = [
    "kind", "pattern", "run", "theta", "popular", "block", "read", "fua",
];

impl Reader<'_> {
    pub(crate) fn generated(&mut self, object: &Object<'_>, span: Span) -> Read<Generated> {
        let kind = self.optional(object, "kind", kind).unwrap_or(Kind::Random);
        let defaults = kind.generated();
        let requests = match object.get("mix") {
            Some(_) => {
                self.without(
                    object,
                    &REQUEST_KEYS,
                    "for a mix",
                    "write it in a part of the mix",
                );
                self.mix(object)
            }
            None => self.requests(object, span, kind),
        };
        let pace = self.pace(object, defaults.pace);
        let commit_every = match object.get("commit") {
            None => defaults.commit_every,
            Some(_) => self
                .optional(object, "commit", |node| integer(node, 0, MAX_COUNT))
                .and_then(|count| NonZeroU32::new(u32::try_from(count).ok()?)),
        };
        Some(Generated {
            requests: requests?,
            commit_every,
            pace: pace?,
        })
    }

    /// Notes each of `keys` that is there: it has no meaning.
    pub(crate) fn without(&mut self, object: &Object<'_>, keys: &[&str], why: &str, help: &str) {
        for member in object.members {
            let name = member.key.value.as_str();
            if keys.contains(&name) {
                let message = format!("`{name}` has no meaning {why}");
                self.note(member.key.span, message, help);
            }
        }
    }

    fn requests(&mut self, object: &Object<'_>, span: Span, kind: Kind) -> Read<Requests> {
        match kind.generated().requests {
            Requests::Blocks(defaults) => self
                .blocks(object, span, defaults, kind)
                .map(Requests::Blocks),
            Requests::Files(defaults) => {
                self.without(
                    object,
                    &["pattern", "run", "block", "fua"],
                    "for a web server, which asks for whole files",
                    "remove it",
                );
                Some(Requests::Files(Files {
                    directories: self.popularity(object, defaults.directories),
                    read: self.read_share(object).unwrap_or(defaults.read),
                }))
            }
            mix @ Requests::Mix(_) => Some(mix),
        }
    }

    fn read_share(&mut self, object: &Object<'_>) -> Read<disktime_units::Share> {
        self.optional(object, "read", |node| convert_text(node, parse_share))
    }

    fn popularity(&mut self, object: &Object<'_>, defaults: Popularity) -> Popularity {
        Popularity {
            theta_ppm: self
                .optional(object, "theta", theta)
                .unwrap_or(defaults.theta_ppm),
            scattered: self
                .optional(object, "popular", |node| match text(node)? {
                    "scattered" => Ok(true),
                    "first" => Ok(false),
                    other => Err(format!("`{other}` is not where popular blocks lie")),
                })
                .unwrap_or(defaults.scattered),
        }
    }

    fn blocks(
        &mut self,
        object: &Object<'_>,
        span: Span,
        defaults: Blocks,
        kind: Kind,
    ) -> Read<Blocks> {
        let pattern = self.pattern(object, span, defaults.pattern, kind);
        let block_bytes = self.optional(object, "block", |node| match size(node)? {
            0 => Err("a request of no bytes asks for nothing".to_owned()),
            bytes if bytes > MAX_REQUEST_BYTES => Err("a request has 32 MiB at most".to_owned()),
            bytes => Ok(bytes),
        });
        let read = self.read_share(object);
        let fua = self.optional(object, "fua", flag);
        Some(Blocks {
            pattern: pattern?,
            block_bytes: block_bytes.unwrap_or(defaults.block_bytes),
            read: read.unwrap_or(defaults.read),
            fua: fua.unwrap_or(defaults.fua),
        })
    }

    fn pattern(
        &mut self,
        object: &Object<'_>,
        span: Span,
        default: Pattern,
        kind: Kind,
    ) -> Read<Pattern> {
        let run = self.optional(object, "run", |node| integer(node, 1, 1 << 40));
        let usual = match default {
            Pattern::Zipf(popularity) => popularity,
            _ => Popularity::scattered(990_000),
        };
        let popularity = self.popularity(object, usual);
        let name = match object.get("pattern") {
            None => default.name(),
            Some(_) => self.optional(object, "pattern", |node| {
                let name = text(node)?;
                Pattern::NAMES
                    .into_iter()
                    .find(|known| *known == name)
                    .ok_or_else(|| format!("`{name}` is not a pattern"))
            })?,
        };
        let help = |pattern: &str| format!("remove it, or write \"pattern\": \"{pattern}\"");
        if name != "semi-random" && run.is_some() {
            let why = format!("for the pattern \"{name}\"");
            self.without(object, &["run"], &why, &help("semi-random"));
        }
        if name != "zipf" {
            let why = format!("for the pattern \"{name}\"");
            self.without(object, &["theta", "popular"], &why, &help("zipf"));
        }
        match name {
            "random" => Some(Pattern::Random),
            "sequential" => Some(Pattern::Sequential),
            "zipf" => Some(Pattern::Zipf(popularity)),
            _ => match (run, default) {
                (Some(run), _) => Some(Pattern::SemiRandom { run }),
                // A run that cannot be read is noted already.
                (None, _) if object.get("run").is_some() => None,
                (None, Pattern::SemiRandom { .. }) if kind == Kind::SemiRandom => Some(default),
                (None, _) => {
                    let at = object.get("pattern").map_or(span, |value| value.span);
                    let help = format!("`run` is {}", object.accepted("run"));
                    self.note(at, "a semi-random client needs the key `run`", help);
                    None
                }
            },
        }
    }

    fn pace(&mut self, object: &Object<'_>, default: Pace) -> Read<Pace> {
        let think = self.optional(object, "think", times);
        let period = self.optional(object, "burst_period", periods);
        let given = self.optional(object, "rate", |node| {
            pace(node, period.unwrap_or(Kind::BURST_PERIOD))
        });
        if let (Some(_), Some(value)) = (given, object.get("think"))
            && think.is_some_and(|think| think != Times::Constant(Nanos::ZERO))
        {
            let help = "remove `think` for requests at a rate, or `rate` for a closed loop";
            self.note(
                value.span,
                "with a rate nobody waits for answers, so nobody thinks",
                help,
            );
        }
        let pace = match (given, think, default) {
            (Some(pace), _, _) => pace,
            (None, Some(think), _) => Pace::Closed { think },
            (None, None, Pace::Bursts { rate, .. }) => Pace::Bursts {
                period: period.unwrap_or(Kind::BURST_PERIOD),
                rate,
            },
            (None, None, default) => default,
        };
        if period.is_some() && !matches!(pace, Pace::Bursts { .. }) {
            let help = "remove it, or write a rate of bursts, as in \"rate\": \"bursts 30/s\"";
            self.without(object, &["burst_period"], "without bursts", help);
        }
        Some(pace)
    }

    fn mix(&mut self, object: &Object<'_>) -> Read<Requests> {
        let parts = self.optional(object, "mix", |node| match node {
            Node::Array(parts) if parts.is_empty() => Err("the mix has no part".to_owned()),
            Node::Array(parts) if parts.len() > MAX_PARTS => {
                Err(format!("a mix has {MAX_PARTS} parts at most"))
            }
            Node::Array(parts) => Ok(parts.as_slice()),
            other => Err(format!("{} is not a list of parts", other.what())),
        })?;
        let mut mix = Vec::with_capacity(parts.len());
        for part in parts {
            mix.extend(self.mix_part(part));
        }
        // A part that cannot be read is noted.
        (mix.len() == parts.len()).then_some(Requests::Mix(mix))
    }

    fn mix_part(&mut self, part: &Spanned<Node>) -> Read<MixPart> {
        let Node::Object(members) = &part.value else {
            if part.value != Node::Broken {
                let help = "a part is an object, as in { \"weight\": 9, \"kind\": \"random\" }";
                let message = format!("a part of a mix is not {}", part.value.what());
                self.note(part.span, message, help);
            }
            return None;
        };
        let object = self.object("a part of a mix", members, &MIX_KEYS);
        let weight = self.optional(&object, "weight", |node| integer(node, 1, MAX_COUNT));
        let kind = self.optional(&object, "kind", kind).unwrap_or(Kind::Random);
        let requests = self.requests(&object, part.span, kind);
        let offset_bytes = self.optional(&object, "offset", size).unwrap_or(0);
        let span_bytes = self.span(&object);
        let weight = u32::try_from(weight.unwrap_or(1)).unwrap_or(1);
        Some(MixPart {
            offset_bytes,
            span_bytes,
            ..MixPart::new(weight, requests?)
        })
    }

    /// The size of the part that a client or a part of a mix uses.
    pub(crate) fn span(&mut self, object: &Object<'_>) -> Read<u64> {
        self.optional(object, "span", |node| match size(node) {
            Ok(0) => Err("a part of no bytes cannot be used".to_owned()),
            other => other,
        })
    }
}
