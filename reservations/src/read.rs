//! From text to [`Configuration`]: every section in turn, and what the keys have to be together.
//! It goes on after each mistake, so that one run shows all that can be seen.

mod doors;
mod group;
mod vdisk;

use crate::configuration::{
    Configuration, Disk, EmulateChecker, Policy, RequestOrder, Reservation, Spanned, Switching,
};
use crate::fields::{self, Kind};
use crate::finding::{ConfigurationErrors, Finding, Severity, Source, Span};
use crate::json::{self, Member, Node};
use crate::values::{Fields, accepted, duplicates, named};
use std::collections::HashMap;
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

    fn disk(&mut self, member: &Member) -> Option<Disk> {
        let key = &member.key;
        let disk = Fields::open(&member.value, &fields::DISK, key.span, self.findings)?;
        let emulate = disk
            .member("emulate")
            .and_then(|member| self.emulate(&member.value));
        let size_bytes = disk.size("size", self.findings);
        if disk.has("emulate") && !disk.has("size") {
            let wrong = format!("the modelled disk `{}` needs a `size`", key.value);
            self.report(
                key.span,
                wrong,
                "add \"size\": \"64GiB\", or whatever it is to hold",
            );
        }
        for own in ["seeks", "worst_case", "switch_cost"] {
            if let (true, Some(member)) = (disk.has("emulate"), disk.member(own)) {
                let wrong = format!("`{own}` of a modelled disk comes from its model");
                self.report(
                    member.key.span,
                    wrong,
                    format!("leave out `{own}`, or `emulate`"),
                );
            }
        }
        let policy = disk.choice("policy", self.findings);
        let switching = disk
            .choice("switching", self.findings)
            .map(|choice| Spanned {
                value: if choice.value == "served" {
                    Switching::Served
                } else {
                    Switching::Account
                },
                span: choice.span,
            });
        let order = disk.choice("order", self.findings);
        let read = Disk {
            name: key.clone(),
            policy: policy
                .and_then(|name| Policy::from_name(name.value))
                .unwrap_or_default(),
            switching,
            order: match order.map(|choice| choice.value) {
                Some("least-positioning") => RequestOrder::LeastPositioning,
                _ => RequestOrder::Sweep,
            },
            system: disk.member("system").and_then(|member| self.system(member)),
            seeks: disk.truth("seeks", self.findings),
            worst_case: disk.duration("worst_case", self.findings),
            switch_cost: disk.duration("switch_cost", self.findings),
            max_in_flight: disk.integer("max_in_flight", self.findings),
            size_bytes,
            emulate,
            path: disk
                .path("path", self.findings)
                .map(|path| self.resolve(path))?,
        };
        Some(read)
    }

    /// The model as the checker and the server get it: `FILE#NAME` with FILE resolved.
    fn emulate(&mut self, node: &Spanned<Node>) -> Option<Spanned<serde_json::Value>> {
        let value = match &node.value {
            Node::String(text) => match text.split_once('#') {
                Some((file, name)) if !file.is_empty() => {
                    format!("{}#{name}", self.state_dir.join(file).display()).into()
                }
                _ => text.clone().into(),
            },
            Node::Object(_) => {
                self.duplicates_within(node);
                node.value.to_value()
            }
            Node::Broken => return None,
            other => {
                let wrong = format!("`emulate` cannot be {}", other.what());
                self.report(node.span, wrong, accepted(&Kind::Model));
                return None;
            }
        };
        if let Err(wrong) = self.checker.check(&value) {
            self.report(node.span, wrong, accepted(&Kind::Model));
        }
        Some(Spanned {
            value,
            span: node.span,
        })
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

    fn system(&mut self, member: &Member) -> Option<Reservation> {
        let system = Fields::open(
            &member.value,
            &fields::SYSTEM,
            member.key.span,
            self.findings,
        )?;
        let reserve = system.share("reserve", self.findings);
        let period = system.duration("period", self.findings);
        Some(Reservation {
            reserve: reserve?,
            period: period?,
        })
    }

    fn same_paths(&mut self, disks: &[Disk]) {
        let mut seen: HashMap<&Path, &str> = HashMap::new();
        for disk in disks {
            if let Some(first) = seen.get(disk.path.value.as_path()) {
                let wrong = format!("`{}` has the path of `{first}`", disk.name.value);
                self.report(
                    disk.path.span,
                    wrong,
                    "every disk has its own device or file",
                );
            }
            seen.insert(&disk.path.value, &disk.name.value);
        }
    }
}
