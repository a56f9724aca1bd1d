//! Single values out of the tree, checked against the list of keys, with a finding for each that
//! is not what its key accepts. Nothing here knows what the keys mean together.
//!
//! A getter returns `None` both for a missing and for a wrong value; a wrong one has left its
//! finding, so the caller asks [`Fields::has`] before it complains that something is missing.

use crate::configuration::Spanned;
use crate::fields::{Field, Kind, MAX_NAME, SIZE_MULTIPLE, Table};
use crate::finding::{Finding, Span, shortened};
use crate::json::{Member, Node};
use crate::similar::nearest;
use disktime_units::{
    Nanos, Network, NetworkError, Share, parse_duration, parse_share, parse_size,
};
use std::path::PathBuf;

/// The members of one object, known to have only known keys, each once.
pub(crate) struct Fields<'n> {
    table: &'static Table,
    members: &'n [Member],
}

impl<'n> Fields<'n> {
    /// Opens `node` as an object of `table`. `place` is where a missing key is reported: the key
    /// that holds the object.
    pub fn open(
        node: &'n Spanned<Node>,
        table: &'static Table,
        place: Span,
        findings: &mut Vec<Finding>,
    ) -> Option<Fields<'n>> {
        let Node::Object(members) = &node.value else {
            if node.value == Node::Broken {
                return None;
            }
            let wrong = format!("{} is an object, not {}", table.what, node.value.what());
            findings.push(Finding::error(node.span, wrong).help(accepted(&Kind::Object(table))));
            return None;
        };
        duplicates(members, findings);
        for Member { key, .. } in members {
            if !table.fields.iter().any(|field| field.name == key.value) {
                findings.push(unknown_key(key, table));
            }
        }
        let fields = Fields { table, members };
        for field in table.fields.iter().filter(|field| field.required) {
            if !fields.has(field.name) {
                let wrong = format!("{} needs `{}`", table.what, field.name);
                findings.push(Finding::error(place, wrong).help(format!(
                    "add \"{}\": {}. {}",
                    field.name,
                    field.kind.accepted(),
                    field.about
                )));
            }
        }
        Some(fields)
    }

    /// Whether the key is there, rightly or wrongly.
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// The member of that name; the first, where there are several.
    pub fn member(&self, name: &str) -> Option<&'n Member> {
        self.members.iter().find(|member| member.key.value == name)
    }

    fn get(&self, name: &str) -> Option<(&'static Field, &'n Spanned<Node>)> {
        let field = self.table.fields.iter().find(|field| field.name == name);
        debug_assert!(
            field.is_some(),
            "`{name}` is not in the table of {}",
            self.table.what
        );
        let value = &self.member(name)?.value;
        (value.value != Node::Broken).then_some((field?, value))
    }

    fn text(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<&'n str>> {
        let (field, node) = self.get(name)?;
        match &node.value {
            Node::String(text) => Some(Spanned {
                value: text,
                span: node.span,
            }),
            _ => {
                findings.push(wrong_type(field, node));
                None
            }
        }
    }

    pub fn path(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<PathBuf>> {
        let text = self.text(name, findings)?;
        if text.value.is_empty() || text.value.contains('\0') {
            let wrong = format!("`{name}` is not a path");
            findings.push(Finding::error(text.span, wrong).help(accepted(&Kind::Path)));
            return None;
        }
        Some(Spanned {
            value: PathBuf::from(text.value),
            span: text.span,
        })
    }

    pub fn size(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<u64>> {
        let text = self.text(name, findings)?;
        let refuse = |message: String, help: String| Finding::error(text.span, message).help(help);
        let bytes = match parse_size(text.value) {
            Ok(bytes) => bytes,
            Err(_) => {
                let wrong = format!("`{}` is not a size", shortened(text.value));
                findings.push(refuse(wrong, accepted(&Kind::Size)));
                return None;
            }
        };
        if bytes == 0 || bytes % SIZE_MULTIPLE != 0 {
            let wrong = match bytes {
                0 => "a size of nothing".to_owned(),
                _ => format!(
                    "`{}` is not a multiple of {SIZE_MULTIPLE} bytes",
                    text.value
                ),
            };
            let help = match (bytes / SIZE_MULTIPLE + 1).checked_mul(SIZE_MULTIPLE / 1024) {
                Some(kib) => format!("the next size that is: \"{kib}KiB\""),
                None => accepted(&Kind::Size),
            };
            findings.push(refuse(wrong, help));
            return None;
        }
        Some(Spanned {
            value: bytes,
            span: text.span,
        })
    }

    pub fn share(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<Share>> {
        let text = self.text(name, findings)?;
        let wrong = match parse_share(text.value) {
            Ok(Share::ZERO) if name == "reserve" => {
                let wrong = "a reservation of nothing".to_owned();
                let help = "leave `reserve` out for best effort; accepted is more than 0%";
                findings.push(Finding::error(text.span, wrong).help(help));
                return None;
            }
            Ok(Share::ZERO) => format!("`{name}` of nothing would never be served"),
            Ok(value) => {
                return Some(Spanned {
                    value,
                    span: text.span,
                });
            }
            Err(_) => format!(
                "`{}` is not a share of the disk's time",
                shortened(text.value)
            ),
        };
        findings.push(Finding::error(text.span, wrong).help(accepted(&Kind::Share)));
        None
    }

    pub fn duration(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<Nanos>> {
        let text = self.text(name, findings)?;
        let (field, _) = self.get(name)?;
        let Kind::Duration { least, most } = &field.kind else {
            return None;
        };
        let wrong = match parse_duration(text.value) {
            Ok(value) if (*least..=*most).contains(&value) => {
                return Some(Spanned {
                    value,
                    span: text.span,
                });
            }
            Ok(value) if value < *least => {
                format!("`{name}` of {} is too short", shortened(text.value))
            }
            Ok(_) => format!("`{name}` of {} is too long", shortened(text.value)),
            Err(_) => format!("`{}` is not a duration", shortened(text.value)),
        };
        findings.push(Finding::error(text.span, wrong).help(accepted(&field.kind)));
        None
    }

    pub fn integer(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<u32>> {
        let (field, node) = self.get(name)?;
        let Kind::Integer { least, most } = &field.kind else {
            return None;
        };
        let Node::Number(number) = &node.value else {
            findings.push(wrong_type(field, node));
            return None;
        };
        let value = number.as_u64().and_then(|value| u32::try_from(value).ok());
        match value.filter(|value| (*least..=*most).contains(value)) {
            Some(value) => Some(Spanned {
                value,
                span: node.span,
            }),
            None => {
                let wrong = format!(
                    "{} is not a possible `{name}`",
                    shortened(&number.to_string())
                );
                findings.push(Finding::error(node.span, wrong).help(accepted(&field.kind)));
                None
            }
        }
    }

    pub fn truth(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<bool>> {
        let (field, node) = self.get(name)?;
        match node.value {
            Node::Bool(value) if value || !matches!(field.kind, Kind::True) => Some(Spanned {
                value,
                span: node.span,
            }),
            _ => {
                findings.push(wrong_type(field, node));
                None
            }
        }
    }

    pub fn choice(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<&'n str>> {
        let text = self.text(name, findings)?;
        let (field, _) = self.get(name)?;
        let Kind::Choice(choices) = &field.kind else {
            return None;
        };
        if choices.contains(&text.value) {
            return Some(text);
        }
        let wrong = format!("`{}` is not a `{name}`", shortened(text.value));
        let meant = did_you_mean(text.value, choices.iter().copied());
        findings.push(
            Finding::error(text.span, wrong).help(format!("{meant}{}", accepted(&field.kind))),
        );
        None
    }

    /// A disk's name; that it exists is for the caller to see.
    pub fn name(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<&'n str>> {
        self.text(name, findings)
    }

    /// The permission bits of a file, in octal digits.
    pub fn mode(&self, name: &str, findings: &mut Vec<Finding>) -> Option<u32> {
        let text = self.text(name, findings)?;
        let digits = text.value.strip_prefix('0').filter(|rest| rest.len() == 3);
        let digits = digits.unwrap_or(text.value);
        let is_octal =
            digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if is_octal => Some(mode),
            _ => {
                let wrong = format!("`{}` is not the mode of a socket", shortened(text.value));
                findings.push(Finding::error(text.span, wrong).help(accepted(&Kind::Mode)));
                None
            }
        }
    }

    /// The name or number of a user or group; that there is one is for the caller to see.
    pub fn account(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Spanned<String>> {
        let text = self.text(name, findings)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == ':' || c == ',';
        if text.value.is_empty() || text.value.contains(odd) {
            let wrong = format!("`{}` is not a user or group", shortened(text.value));
            findings.push(Finding::error(text.span, wrong).help(accepted(&Kind::Account)));
            return None;
        }
        Some(Spanned {
            value: text.value.to_owned(),
            span: text.span,
        })
    }

    /// Ranges of addresses. `None` also where the list is empty, which is a mistake: it would keep
    /// everybody out.
    pub fn networks(&self, name: &str, findings: &mut Vec<Finding>) -> Option<Vec<Network>> {
        let member = self.member(name)?;
        if matches!(&member.value.value, Node::Array(items) if items.is_empty()) {
            let wrong = format!("an empty `{name}` would let nobody in");
            let help = format!(
                "leave `{name}` out to let everybody in; {}",
                accepted(&Kind::Networks)
            );
            findings.push(Finding::error(member.value.span, wrong).help(help));
            return None;
        }
        let mut networks: Vec<Network> = Vec::new();
        for text in self.texts(name, findings) {
            match text.value.parse::<Network>() {
                Ok(network) if networks.contains(&network) => {
                    let wrong = format!("`{network}` is here a second time");
                    findings.push(Finding::error(text.span, wrong).help("remove one of them"));
                }
                Ok(network) => networks.push(network),
                Err(NetworkError::Overhanging {
                    meant, prefix_bits, ..
                }) => {
                    let wrong = format!(
                        "`{}` has bits behind its first {prefix_bits}",
                        shortened(text.value)
                    );
                    let help = format!(
                        "write `{meant}` for the whole range, or leave out `/{prefix_bits}` for this address alone"
                    );
                    findings.push(Finding::error(text.span, wrong).help(help));
                }
                Err(NetworkError::Unreadable(_)) => {
                    let wrong = format!("`{}` is not a range of addresses", shortened(text.value));
                    findings.push(Finding::error(text.span, wrong).help(accepted(&Kind::Networks)));
                }
            }
        }
        Some(networks)
    }

    /// The texts of a list.
    pub fn texts(&self, name: &str, findings: &mut Vec<Finding>) -> Vec<Spanned<&'n str>> {
        let Some((field, node)) = self.get(name) else {
            return Vec::new();
        };
        let Node::Array(items) = &node.value else {
            findings.push(wrong_type(field, node));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Node::String(text) => texts.push(Spanned {
                    value: text.as_str(),
                    span: item.span,
                }),
                Node::Broken => {}
                _ => findings.push(wrong_type(field, item)),
            }
        }
        texts
    }
}

/// The members of an object whose keys are names; each name once and fit to be one.
pub(crate) fn named<'n>(
    node: &'n Spanned<Node>,
    what: &str,
    kind: &Kind,
    findings: &mut Vec<Finding>,
) -> Vec<&'n Member> {
    let Node::Object(members) = &node.value else {
        if node.value == Node::Broken {
            return Vec::new();
        }
        let wrong = format!(
            "`{what}` is an object keyed by name, not {}",
            node.value.what()
        );
        findings.push(Finding::error(node.span, wrong).help(accepted(kind)));
        return Vec::new();
    };
    let repeated = duplicates(members, findings);
    for member in members {
        if let Err(wrong) = check_name(&member.key.value) {
            findings.push(Finding::error(member.key.span, wrong).help(format!(
                "a name is 1 to {MAX_NAME} of the letters a to z and A to Z, digits, `.`, `_` and `-`"
            )));
        }
    }
    members
        .iter()
        .enumerate()
        .filter(|(at, _)| !repeated.contains(at))
        .map(|(_, m)| m)
        .collect()
}

/// Names become file names and NBD export names.
fn check_name(name: &str) -> Result<(), String> {
    let shown = shortened(name);
    let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if name.is_empty() {
        return Err("a name is empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!(
            "`{name}` cannot be a name: every directory has it already"
        ));
    }
    if let Some(c) = name.chars().find(odd) {
        return Err(format!("the name `{shown}` contains `{c}`"));
    }
    if name.len() > MAX_NAME {
        return Err(format!("the name `{shown}` has {} characters", name.len()));
    }
    Ok(())
}

/// A finding for every key that was there before; returns which members those are.
pub(crate) fn duplicates(members: &[Member], findings: &mut Vec<Finding>) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let mut repeated = Vec::new();
    for (at, Member { key, .. }) in members.iter().enumerate() {
        if !seen.insert(key.value.as_str()) {
            repeated.push(at);
            let wrong = format!("`{}` is here a second time", shortened(&key.value));
            findings.push(
                Finding::error(key.span, wrong)
                    .help("each key stands once in its object; remove or rename one of them"),
            );
        }
    }
    repeated
}

fn unknown_key(key: &Spanned<String>, table: &Table) -> Finding {
    let names = || {
        table
            .fields
            .iter()
            .map(|field| field.name)
            .filter(|name| *name != "$schema")
    };
    let wrong = format!("`{}` is not a key of {}", shortened(&key.value), table.what);
    let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
    let meant = did_you_mean(&key.value, names());
    Finding::error(key.span, wrong).help(format!("{meant}accepted are {}", all.join(", ")))
}

/// A question to put before what is accepted, if a candidate is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates)
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default()
}

fn wrong_type(field: &Field, node: &Spanned<Node>) -> Finding {
    let wrong = format!("`{}` cannot be {}", field.name, node.value.what());
    Finding::error(node.span, wrong).help(accepted(&field.kind))
}

pub(crate) fn accepted(kind: &Kind) -> String {
    format!("accepted is {}", kind.accepted())
}
