//! The generator of a client of a workload file: a kind with its defaults, changed key by key.
//!
//! Invariant: a key that would have no effect is refused, because its author expects one.

use crate::Pattern;
use crate::generated::{Blocks, Files, Generated, MixPart, Pace, Requests, Times};
use crate::keys::{MAX_PARTS, REQUEST_KEYS};
use crate::kinds::GeneratorKind;
use crate::positions::Popularity;
use crate::values::{pace, periods, times};
use disktime_documents::{Key, Object, Spanned};
use disktime_units::Nanos;
use std::num::NonZeroU32;

pub(crate) fn generated(object: &Object<'_>) -> Option<Generated> {
    let kind = kind(object);
    let defaults = kind.generated();
    let requests = if object.has("mix") {
        let names: Vec<_> = REQUEST_KEYS.iter().map(Key::name).collect();
        object.refuse_keys(&names, "a mix", "move it to a part of the mix");
        mix(object)
    } else {
        requests(object, kind)
    };
    let pace = read_pace(object, defaults.pace);
    let commit_every = match object.has("commit") {
        false => defaults.commit_every,
        true => object
            .integer("commit")
            .and_then(|count| NonZeroU32::new(count.value)),
    };
    Some(Generated {
        requests: requests?,
        commit_every,
        pace,
    })
}

fn kind(object: &Object<'_>) -> GeneratorKind {
    object
        .choice("kind")
        .and_then(|name| GeneratorKind::from_name(name.value))
        .unwrap_or(GeneratorKind::Random)
}

fn requests(object: &Object<'_>, kind: GeneratorKind) -> Option<Requests> {
    match kind.generated().requests {
        Requests::Blocks(defaults) => blocks(object, defaults, kind).map(Requests::Blocks),
        Requests::Files(defaults) => {
            let what = "a web server, which requests whole files";
            object.refuse_keys(&["pattern", "run", "block", "fua"], what, "remove it");
            Some(Requests::Files(Files {
                directories: popularity(object, defaults.directories),
                read: object
                    .share("read")
                    .map_or(defaults.read, Spanned::into_value),
            }))
        }
        mix @ Requests::Mix(_) => Some(mix),
    }
}

fn popularity(object: &Object<'_>, defaults: Popularity) -> Popularity {
    let theta = object.number("theta");
    let scattered = object.chosen("popular", &[("scattered", true), ("first", false)]);
    Popularity {
        theta_ppm: theta.map_or(defaults.theta_ppm, |theta| {
            (theta.value * 1e6).round() as u32
        }),
        scattered: scattered.map_or(defaults.scattered, Spanned::into_value),
    }
}

fn blocks(object: &Object<'_>, defaults: Blocks, kind: GeneratorKind) -> Option<Blocks> {
    let pattern = pattern(object, defaults.pattern, kind);
    let block_bytes = object.size("block");
    let read = object.share("read");
    let fua = object.truth("fua");
    Some(Blocks {
        pattern: pattern?,
        block_bytes: block_bytes.map_or(defaults.block_bytes, Spanned::into_value),
        read: read.map_or(defaults.read, Spanned::into_value),
        fua: fua.map_or(defaults.fua, Spanned::into_value),
    })
}

fn pattern(object: &Object<'_>, default: Pattern, kind: GeneratorKind) -> Option<Pattern> {
    let run = object.integer("run").map(Spanned::into_value);
    let popularity = match default {
        Pattern::Zipf(defaults) => popularity(object, defaults),
        _ => popularity(object, Popularity::scattered(990_000)),
    };
    let name = match object.has("pattern") {
        false => default.name(),
        true => object.choice("pattern")?.value,
    };
    let what = format!("the pattern \"{name}\"");
    let help = |pattern: &str| format!("remove it, or write \"pattern\": \"{pattern}\"");
    if name != "semi-random" && run.is_some() {
        object.refuse_keys(&["run"], &what, &help("semi-random"));
    }
    if name != "zipf" {
        object.refuse_keys(&["theta", "popular"], &what, &help("zipf"));
    }
    match name {
        "random" => Some(Pattern::Random),
        "sequential" => Some(Pattern::Sequential),
        "zipf" => Some(Pattern::Zipf(popularity)),
        _ => match (run, default) {
            (Some(run), _) => Some(Pattern::SemiRandom { run }),
            // A run that cannot be read is reported already.
            (None, _) if object.has("run") => None,
            (None, Pattern::SemiRandom { .. }) if kind == GeneratorKind::SemiRandom => {
                Some(default)
            }
            (None, _) => {
                let at = object
                    .node("pattern")
                    .map_or(object.place(), |value| value.span);
                object.refuse("run", at, "a semi-random client needs the key `run`");
                None
            }
        },
    }
}

fn read_pace(object: &Object<'_>, default: Pace) -> Pace {
    let think = object.parsed("think", times);
    let period = object
        .parsed("burst_period", periods)
        .map(Spanned::into_value);
    let burst_period = period.unwrap_or(GeneratorKind::BURST_PERIOD);
    let rate = object.parsed("rate", |text| pace(text, burst_period));
    if let (Some(_), Some(think)) = (rate, think)
        && think.value != Times::Constant(Nanos::ZERO)
    {
        let message = "`think` has no effect with a rate: requests do not wait for replies";
        let help = "remove `think` for requests at a rate, or `rate` for a closed loop";
        object.report(think.span, message, help);
    }
    let pace = match (rate, think, default) {
        (Some(pace), _, _) => pace.value,
        (None, Some(think), _) => Pace::Closed { think: think.value },
        (None, None, Pace::Bursts { rate, .. }) => Pace::Bursts {
            period: burst_period,
            rate,
        },
        (None, None, default) => default,
    };
    if period.is_some() && !matches!(pace, Pace::Bursts { .. }) {
        let help = "remove it, or write a rate of bursts, as in \"rate\": \"bursts 30/s\"";
        object.refuse_keys(&["burst_period"], "a client without bursts", help);
    }
    pace
}

fn mix(object: &Object<'_>) -> Option<Requests> {
    let parts = object.list("mix")?;
    if parts.is_empty() || parts.len() > MAX_PARTS {
        let span = object.node("mix").map_or(object.place(), |mix| mix.span);
        let count = parts.len();
        object.refuse(
            "mix",
            span,
            format!("a mix has 1 to {MAX_PARTS} parts, not {count}"),
        );
        return None;
    }
    // A part that cannot be read is reported already.
    let parts = parts.into_iter().map(|part| mix_part(&part?));
    parts.collect::<Option<_>>().map(Requests::Mix)
}

fn mix_part(object: &Object<'_>) -> Option<MixPart> {
    let weight = object.integer("weight");
    let requests = requests(object, kind(object));
    let offset_bytes = object.size("offset").map_or(0, Spanned::into_value);
    let span_bytes = span(object);
    Some(MixPart {
        offset_bytes,
        span_bytes,
        ..MixPart::new(weight.map_or(1, Spanned::into_value), requests?)
    })
}

/// The size of the part that a client or a part of a mix uses.
pub(crate) fn span(object: &Object<'_>) -> Option<u64> {
    object.size("span").map(Spanned::into_value)
}
