//! Typed values of an object's keys, each checked against what its key accepts.

use super::{Object, expected};
use crate::finding::shortened;
use crate::json::Node;
use crate::key::{Key, ValueKind};
use crate::similar::did_you_mean;
use crate::span::Spanned;
use disktime_units::{Nanos, Share, format_size, parse_duration, parse_share, parse_size};
use std::path::PathBuf;

/// Why a value is refused, and a help text where "expected: …" is not the best one.
struct Refusal {
    message: String,
    help: Option<String>,
}

impl From<String> for Refusal {
    fn from(message: String) -> Refusal {
        Refusal {
            message,
            help: None,
        }
    }
}

impl<'n> Object<'n> {
    /// A text.
    pub fn text(&self, name: &str) -> Option<Spanned<&'n str>> {
        let (key, node) = self.get(name)?;
        match &node.value {
            Node::String(value) => Some(Spanned {
                value,
                span: node.span,
            }),
            _ => {
                self.refuse_type(key, node);
                None
            }
        }
    }

    /// A text in a format of its own. `parse` says what is wrong; what is expected is added.
    pub fn parsed<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&'n str) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        self.converted(name, |text, _| parse(text).map_err(Refusal::from))
    }

    fn converted<T>(
        &self,
        name: &str,
        convert: impl FnOnce(&'n str, &'static Key) -> Result<T, Refusal>,
    ) -> Option<Spanned<T>> {
        let (key, _) = self.get(name)?;
        let text = self.text(name)?;
        match convert(text.value, key) {
            Ok(value) => Some(text.map(|_| value)),
            Err(Refusal { message, help }) => {
                let help = help.unwrap_or_else(|| expected(key.kind()));
                self.report(text.span, message, help);
                None
            }
        }
    }

    /// A path, as it is written.
    pub fn path(&self, name: &str) -> Option<Spanned<PathBuf>> {
        self.parsed(name, |text| match text {
            "" => Err(format!("`{name}` is empty")),
            text if text.contains('\0') => Err(format!("`{name}` contains a NUL character")),
            text => Ok(PathBuf::from(text)),
        })
    }

    /// A size in bytes.
    pub fn size(&self, name: &str) -> Option<Spanned<u64>> {
        self.converted(name, |text, key| size(name, text, key.kind()))
    }

    /// A share.
    pub fn share(&self, name: &str) -> Option<Spanned<Share>> {
        self.converted(name, |text, key| {
            let value = parse_share(text)
                .map_err(|_| format!("`{}` is not a share from 0% to 100%", shortened(text)))?;
            match key.kind() {
                ValueKind::Share { least } if value < *least => Err(Refusal {
                    message: format!("`{name}` of {} is too small", shortened(text)),
                    help: (!key.default().is_empty()).then(|| {
                        let (expected, default) = (expected(key.kind()), key.default());
                        format!("{expected}; without `{name}`: {default}")
                    }),
                }),
                _ => Ok(value),
            }
        })
    }

    /// A length of time.
    pub fn duration(&self, name: &str) -> Option<Spanned<Nanos>> {
        self.converted(name, |text, key| {
            let shown = || shortened(text);
            let value =
                parse_duration(text).map_err(|_| format!("`{}` is not a duration", shown()))?;
            match key.kind() {
                ValueKind::Duration { least, .. } if value < *least => {
                    Err(format!("`{name}` of {} is too short", shown()).into())
                }
                ValueKind::Duration { most, .. } if value > *most => {
                    Err(format!("`{name}` of {} is too long", shown()).into())
                }
                _ => Ok(value),
            }
        })
    }

    /// A whole number.
    pub fn integer<T: TryFrom<u64>>(&self, name: &str) -> Option<Spanned<T>> {
        self.number_with(name, |number, kind| {
            let value = number.as_u64()?;
            let ValueKind::Integer { least, most } = kind else {
                return None;
            };
            let in_range = (*least..=*most).contains(&value);
            T::try_from(value).ok().filter(|_| in_range)
        })
    }

    /// A number with decimals.
    pub fn number(&self, name: &str) -> Option<Spanned<f64>> {
        self.number_with(name, |number, kind| {
            let value = number.as_f64()?;
            let ValueKind::Number { least, most } = kind else {
                return None;
            };
            (*least..=*most).contains(&value).then_some(value)
        })
    }

    fn number_with<T>(
        &self,
        name: &str,
        convert: impl FnOnce(&serde_json::Number, &ValueKind) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let (key, node) = self.get(name)?;
        let Node::Number(number) = &node.value else {
            self.refuse_type(key, node);
            return None;
        };
        let value = convert(number, key.kind());
        if value.is_none() {
            let message = format!("`{name}` cannot be {}", shortened(&number.to_string()));
            self.report(node.span, message, expected(key.kind()));
        }
        value.map(|value| Spanned {
            value,
            span: node.span,
        })
    }

    /// `true` or `false`, or only the former.
    pub fn truth(&self, name: &str) -> Option<Spanned<bool>> {
        let (key, node) = self.get(name)?;
        match node.value {
            Node::Bool(value) if value || !matches!(key.kind(), ValueKind::True) => Some(Spanned {
                value,
                span: node.span,
            }),
            _ => {
                self.refuse_type(key, node);
                None
            }
        }
    }

    /// One of the words that the key accepts.
    pub fn choice(&self, name: &str) -> Option<Spanned<&'static str>> {
        self.converted(name, |text, key| {
            let ValueKind::Choice(choices) = key.kind() else {
                return Err(format!("`{name}` is not a choice").into());
            };
            let chosen = choices.iter().copied().find(|choice| *choice == text);
            chosen.ok_or_else(|| {
                let meant = did_you_mean(text, choices.iter().copied());
                Refusal {
                    message: format!("`{name}` cannot be \"{}\"", shortened(text)),
                    help: Some(format!("{meant}{}", expected(key.kind()))),
                }
            })
        })
    }

    /// What a word stands for, by a list with all words of the key's choice.
    pub fn chosen<T: Copy>(&self, name: &str, meanings: &[(&str, T)]) -> Option<Spanned<T>> {
        let word = self.choice(name)?;
        let meaning = meanings.iter().find(|(known, _)| *known == word.value);
        debug_assert!(
            meaning.is_some(),
            "`{}` of `{name}` has no meaning",
            word.value
        );
        meaning.map(|(_, meaning)| word.map(|_| *meaning))
    }

    /// The texts of a list.
    pub fn texts(&self, name: &str) -> Vec<Spanned<&'n str>> {
        let Some((key, node)) = self.get(name) else {
            return Vec::new();
        };
        let Node::Array(items) = &node.value else {
            self.refuse_type(key, node);
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
                _ => self.refuse_type(key, item),
            }
        }
        texts
    }
}

fn size(name: &str, text: &str, kind: &ValueKind) -> Result<u64, Refusal> {
    let bytes = parse_size(text).map_err(|_| format!("`{}` is not a size", shortened(text)))?;
    let ValueKind::Size {
        least,
        most,
        multiple,
    } = kind
    else {
        return Ok(bytes);
    };
    if bytes < *least {
        let (text, least) = (shortened(text), format_size(*least));
        return Err(format!("`{name}` of {text} is too small: at least {least}").into());
    }
    if bytes > *most {
        let (text, most) = (shortened(text), format_size(*most));
        return Err(format!("`{name}` of {text} is too large: at most {most}").into());
    }
    if bytes % multiple != 0 {
        let next = (bytes / multiple + 1).checked_mul(*multiple);
        return Err(Refusal {
            message: format!(
                "`{}` is not a multiple of {multiple} bytes",
                shortened(text)
            ),
            help: next.map(|next| format!("the next larger multiple is \"{}KiB\"", next / 1024)),
        });
    }
    Ok(bytes)
}
