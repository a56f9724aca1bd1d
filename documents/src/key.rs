//! Tables of keys: for each object of a document every key with what it accepts, its default and
//! what it is for. Reader, JSON Schema and reference are made from the same table.
//!
//! What is not known here: what a key leads to, and which keys go together.

use disktime_units::{Nanos, Share, format_duration, format_size};

/// An object with a fixed set of keys, which come in one or several parts.
pub struct Table {
    what: &'static str,
    parts: &'static [&'static [Key]],
    replaced: &'static [(&'static str, &'static str)],
}

impl Table {
    /// A table of `what`, which is named with its article ("a disk").
    pub const fn new(what: &'static str, parts: &'static [&'static [Key]]) -> Table {
        Table {
            what,
            parts,
            replaced: &[],
        }
    }

    /// The same table; keys of earlier versions, each with what to write instead of it.
    pub const fn with_replaced(
        mut self,
        replaced: &'static [(&'static str, &'static str)],
    ) -> Table {
        self.replaced = replaced;
        self
    }

    /// What to write instead of a key of an earlier version.
    pub fn replacement(&self, name: &str) -> Option<&'static str> {
        let mut replaced = self.replaced.iter();
        let (_, instead) = replaced.find(|(old, _)| *old == name)?;
        Some(instead)
    }

    /// What the object describes, with its article.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// All keys, in the order of the table.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// One key of an object.
#[derive(Clone, Copy)]
pub struct Key {
    name: &'static str,
    kind: ValueKind,
    is_required: bool,
    default: &'static str,
    about: &'static str,
}

/// A key that may be left out; `default` says in words what holds then, and is empty where
/// nothing does.
pub const fn key(
    name: &'static str,
    kind: ValueKind,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        is_required: false,
        default,
        about,
    }
}

/// A key that must not be left out.
pub const fn required_key(name: &'static str, kind: ValueKind, about: &'static str) -> Key {
    Key {
        name,
        kind,
        is_required: true,
        default: "",
        about,
    }
}

impl Key {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it accepts.
    pub fn kind(&self) -> &ValueKind {
        &self.kind
    }

    /// Whether it must not be left out.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// What holds when it is left out, in words; empty where nothing does.
    pub fn default(&self) -> &'static str {
        self.default
    }

    /// What it is for.
    pub fn about(&self) -> &'static str {
        self.about
    }
}

/// What a value may be.
#[derive(Clone, Copy)]
pub enum ValueKind {
    /// A path.
    Path,
    /// A size in bytes, a multiple of `multiple`.
    Size {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
        /// What it is a multiple of.
        multiple: u64,
    },
    /// A share from `least` to 100 %.
    Share {
        /// The smallest.
        least: Share,
    },
    /// A length of time.
    Duration {
        /// The shortest.
        least: Nanos,
        /// The longest.
        most: Nanos,
    },
    /// A whole number.
    Integer {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A number.
    Number {
        /// The smallest.
        least: f64,
        /// The largest.
        most: f64,
    },
    /// `true` or `false`.
    Truth,
    /// `true`; for what is not so the key is left out.
    True,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A value with a format of its own, which the caller reads.
    Format(&'static Format),
    /// An object with a fixed set of keys.
    Object(&'static Table),
    /// An object with a fixed set of keys, or one of some words.
    ObjectOr(&'static Table, &'static [&'static str]),
    /// An object whose keys are names that the author of the document chooses.
    Named(&'static Table, NameRule),
    /// A list of objects.
    List(&'static Table),
}

/// Which names the author of a document may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Names that can be file names: ASCII letters, digits, `.`, `_` and `-`.
    FileName,
    /// Any text without control characters.
    Text,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In double quotes.
    Text,
    /// A number, `true` or `false`, without quotes.
    Bare,
    /// A list or an object.
    Nested,
}

/// A format that only one document has: an address, a rate.
pub struct Format {
    /// What a value is, with its article: "an address".
    pub what: &'static str,
    /// How it is written.
    pub form: Form,
    /// What is expected, with an example.
    pub expected: &'static str,
    /// The name of its definition in a JSON Schema.
    pub definition: &'static str,
}

impl ValueKind {
    /// A duration of any length.
    pub const ANY_DURATION: ValueKind = ValueKind::Duration {
        least: Nanos::ZERO,
        most: Nanos::MAX,
    };

    /// How its values are written.
    pub fn form(&self) -> Form {
        match self {
            ValueKind::Integer { .. }
            | ValueKind::Number { .. }
            | ValueKind::Truth
            | ValueKind::True => Form::Bare,
            ValueKind::Object(_)
            | ValueKind::ObjectOr(..)
            | ValueKind::Named(..)
            | ValueKind::List(_) => Form::Nested,
            ValueKind::Format(format) => format.form,
            _ => Form::Text,
        }
    }

    /// What is expected, as the end of a sentence.
    pub fn expected(&self) -> String {
        match self {
            ValueKind::Path => "a path in double quotes".to_owned(),
            ValueKind::Size {
                least,
                most,
                multiple,
            } => expected_size(*least, *most, *multiple),
            ValueKind::Share { least } => {
                let from = if *least == Share::ZERO {
                    "from"
                } else {
                    "above"
                };
                format!("a share {from} 0% and up to 100%, as in \"40%\" or \"12.5%\"")
            }
            ValueKind::Duration { least, most } => expected_duration(*least, *most),
            ValueKind::Integer { least, most } => {
                format!("a whole number from {least} to {most}, without quotes")
            }
            ValueKind::Number { least, most } => {
                format!("a number from {least} to {most}, without quotes")
            }
            ValueKind::Truth => "true or false, without quotes".to_owned(),
            ValueKind::True => "true, without quotes (or leave it out)".to_owned(),
            ValueKind::Choice(choices) => alternatives(choices),
            ValueKind::Format(format) => format.expected.to_owned(),
            ValueKind::Object(table) => {
                format!("an object, as in {}", ValueKind::object_example(table))
            }
            ValueKind::ObjectOr(table, words) => {
                let object = ValueKind::Object(table).expected();
                format!("{object}, or {}", alternatives(words))
            }
            ValueKind::Named(table, _) => {
                let example = ValueKind::object_example(table);
                format!("an object, as in {{ \"NAME\": {example} }}")
            }
            ValueKind::List(table) => {
                format!("a list, as in [{}]", ValueKind::object_example(table))
            }
        }
    }

    /// An object of `table` with its first required key, or else its first.
    pub(crate) fn object_example(table: &Table) -> String {
        let mut keys = table.keys().filter(|key| key.name != "$schema");
        let first = table.keys().find(|key| key.is_required).or(keys.next());
        format!("{{ \"{}\": … }}", first.map_or("", |key| key.name))
    }
}

fn expected_size(least: u64, most: u64, multiple: u64) -> String {
    if multiple > 1 {
        return format!(
            "a size that is a multiple of {multiple} bytes, as in \"64GiB\" or \"512MiB\""
        );
    }
    match (least, most) {
        (0, u64::MAX) => "a size, as in \"1GiB\"".to_owned(),
        (_, u64::MAX) => "a size above 0B, as in \"1GiB\"".to_owned(),
        _ => {
            let (least, most) = (format_size(least), format_size(most));
            format!("a size from {least} to {most}, as in \"4KiB\"")
        }
    }
}

fn expected_duration(least: Nanos, most: Nanos) -> String {
    match (least, most) {
        (Nanos::ZERO, Nanos::MAX) => "a duration, as in \"10s\"".to_owned(),
        (_, Nanos::MAX) => "a duration above 0s, as in \"60s\"".to_owned(),
        _ => format!(
            "a duration from {} to {}, as in \"{}\"",
            format_duration(least),
            format_duration(most),
            if most > Nanos::from_secs(60) {
                "500ms"
            } else {
                "20ms"
            },
        ),
    }
}

fn alternatives(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices
        .iter()
        .map(|choice| format!("\"{choice}\""))
        .collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}
