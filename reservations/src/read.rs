//! From text to [`Configuration`]: every section in turn, and what the keys have to be together.
//! It goes on after each mistake, so that one run shows all that can be seen.

mod disk;
mod doors;
mod group;
mod vdisk;

use crate::configuration::{Configuration, EmulateChecker, Spanned};
use crate::fields::{self, Kind};
use crate::finding::{ConfigurationErrors, Finding, Severity, Source, Span};
use crate::json::{self, Member, Node};
use crate::values::{Fields, duplicates, named};
use std::path::{Path, PathBuf};

/// Larger than any configuration that a person or a program would write.
const MAX_FILE_BYTES: u64 = 8 << 20;

impl Configuration {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// All mistakes that could be found, or why the file cannot be read.
    pub fn load(
        path: &Path,
        checker: &dyn EmulateChecker,
    ) -> Result<Configuration, ConfigurationErrors> {
        let whole = |message: String, help: &str| {
            let finding = Finding {
                severity: Severity::Error,
                span: None,
                message,
                help: Some(help.to_owned()),
            };
            ConfigurationErrors::new(Source::new(path, ""), vec![finding])
        };
        let unreadable = |error: std::io::Error| {
            let message = format!("cannot read the configuration {}: {error}", path.display());
            whole(
                message,
                "give the path of a readable JSON file, as in examples/quickstart.json",
            )
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE_BYTES {
            let message = format!(
                "{} has {length} bytes, which no configuration has",
                path.display()
            );
            return Err(whole(
                message,
                "give the path of a configuration of at most 8 MiB",
            ));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        match String::from_utf8(bytes) {
            Ok(text) => Configuration::parse(&text, path, checker),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes());
                let finding = Finding::error(
                    Span {
                        start: at,
                        // What is not UTF-8 is shown as one character of three bytes.
                        end: at + char::REPLACEMENT_CHARACTER.len_utf8(),
                    },
                    "this is not UTF-8",
                )
                .help("save the file as UTF-8");
                Err(ConfigurationErrors::new(
                    Source::new(path, &text),
                    vec![finding],
                ))
            }
        }
    }

    /// Reads `text` as the contents of the file `path`, which need not exist.
    ///
    /// # Errors
    /// All mistakes that could be found.
    pub fn parse(
        text: &str,
        path: &Path,
        checker: &dyn EmulateChecker,
    ) -> Result<Configuration, ConfigurationErrors> {
        let source = Source::new(path, text);
        let (tree, mut findings) = json::read(text);
        let read = tree.and_then(|tree| {
            let mut reader = Reader {
                checker,
                findings: &mut findings,
                state_dir: PathBuf::new(),
            };
            reader.root(&tree, &source)
        });
        match read {
            Some(configuration) if findings.is_empty() => Ok(configuration),
            _ => Err(ConfigurationErrors::new(source, findings)),
        }
    }
}

struct Reader<'a> {
    checker: &'a dyn EmulateChecker,
    findings: &'a mut Vec<Finding>,
    state_dir: PathBuf,
}

impl Reader<'_> {
    fn report(&mut self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.push(Finding::error(span, message).help(help));
    }

    fn root(&mut self, tree: &Spanned<Node>, source: &Source) -> Option<Configuration> {
        let brace = Span {
            start: tree.span.start,
            end: tree.span.start + 1,
        };
        let root = Fields::open(tree, &fields::ROOT, brace, self.findings)?;
        root.path("$schema", self.findings);
        let directory = source.path.parent().unwrap_or(Path::new(""));
        let state_dir = root.path("state_dir", self.findings).map(|path| Spanned {
            value: directory.join(path.value),
            span: path.span,
        });
        self.state_dir = state_dir
            .as_ref()
            .map(|path| path.value.clone())
            .unwrap_or_default();

        let disk_members = self.members(&root, "disks", &Kind::Named(&fields::DISK));
        let disks: Vec<_> = disk_members
            .iter()
            .filter_map(|member| self.disk(member))
            .collect();
        if let Some(member) = root.member("disks")
            && matches!(&member.value.value, Node::Object(members) if members.is_empty())
        {
            let help = "add one, as in \"hdd0\": { \"path\": \"hdd0.disk\", \"size\": \"64GiB\" }";
            self.report(member.key.span, "there is no disk", help);
        }
        self.same_paths(&disks);
        let disk_names = vdisk::Names::new(&disk_members);
        let group_members = self.members(&root, "groups", &Kind::Named(&fields::GROUP));
        let mut groups: Vec<_> = group_members
            .iter()
            .filter_map(|member| self.group(member))
            .collect();
        let group_names = vdisk::Names::new(&group_members);
        let vdisks: Vec<_> = self
            .members(&root, "vdisks", &Kind::Named(&fields::VDISK))
            .into_iter()
            .filter_map(|member| self.vdisk(member, &disk_names, &group_names))
            .collect();
        self.place_groups(&mut groups, &vdisks);
        Some(Configuration {
            nbd: root.member("nbd").and_then(|member| self.nbd(member)),
            fuse: root.member("fuse").and_then(|member| self.fuse(member)),
            control: self.control(root.member("control"), brace)?,
            state_dir: state_dir?,
            disks,
            vdisks,
            groups,
            source: source.clone(),
        })
    }

    fn members<'n>(&mut self, root: &Fields<'n>, name: &str, kind: &Kind) -> Vec<&'n Member> {
        let member = root.member(name);
        member.map_or_else(Vec::new, |member| {
            named(&member.value, name, kind, self.findings)
        })
    }

    fn resolve(&self, path: Spanned<PathBuf>) -> Spanned<PathBuf> {
        Spanned {
            value: self.state_dir.join(path.value),
            span: path.span,
        }
    }

    fn duplicates_within(&mut self, node: &Spanned<Node>) {
        match &node.value {
            Node::Object(members) => {
                duplicates(members, self.findings);
                members
                    .iter()
                    .for_each(|member| self.duplicates_within(&member.value));
            }
            Node::Array(items) => items.iter().for_each(|item| self.duplicates_within(item)),
            _ => {}
        }
    }
}
