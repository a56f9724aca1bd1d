//! From text to [`Configuration`]: every section in turn, and what the keys have to be together.
//! It goes on after each mistake, so that one run shows all that can be seen.

mod disk;
mod frontends;
mod group;
mod vdisk;

use crate::configuration::{Configuration, EmulateChecker};
use crate::keys::{DISK, GROUP, ROOT, VDISK};
use disktime_documents::{Document, DocumentErrors, Member, Object, Spanned, Table, read_document};
use std::path::{Path, PathBuf};

impl Configuration {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// All mistakes that could be found, or why the file cannot be read.
    pub fn load(
        path: &Path,
        checker: &dyn EmulateChecker,
    ) -> Result<Configuration, DocumentErrors> {
        read(&Document::load(path, ROOT.what())?, checker)
    }

    /// Reads `text` as the contents of the file `path`, which need not exist.
    ///
    /// # Errors
    /// All mistakes that could be found.
    pub fn parse(
        text: &str,
        path: &Path,
        checker: &dyn EmulateChecker,
    ) -> Result<Configuration, DocumentErrors> {
        read(&Document::new(path, text), checker)
    }
}

fn read(
    document: &Document,
    checker: &dyn EmulateChecker,
) -> Result<Configuration, DocumentErrors> {
    read_document(document, &ROOT, |root| {
        root.path("$schema");
        let written = root.path("state_dir");
        let state_dir = written.map(|path| path.map(|path| document.directory().join(path)));
        let resolved = state_dir.as_ref().map(|path| path.value.clone());
        let reader = Reader {
            root,
            checker,
            state_dir: resolved.unwrap_or_default(),
        };
        reader.configuration(state_dir, document)
    })
}

/// Reads the sections below the root. `state_dir` is empty while its own key is wrong.
struct Reader<'a> {
    root: &'a Object<'a>,
    checker: &'a dyn EmulateChecker,
    state_dir: PathBuf,
}

impl<'a> Reader<'a> {
    fn configuration(
        &self,
        state_dir: Option<Spanned<PathBuf>>,
        document: &Document,
    ) -> Option<Configuration> {
        let disk_members = self.root.named("disks");
        let open = |member: &'a Member, table| self.open(member, table);
        let disks: Vec<_> = disk_members
            .iter()
            .filter_map(|member| self.disk(&member.key, &open(member, &DISK)?))
            .collect();
        self.check_paths(&disks);
        let disk_names = vdisk::Names::new(disk_members);
        let group_members = self.root.named("groups");
        let mut groups: Vec<_> = group_members
            .iter()
            .filter_map(|member| Some(self.group(&member.key, &open(member, &GROUP)?)))
            .collect();
        let group_names = vdisk::Names::new(group_members);
        let vdisks: Vec<_> = self
            .root
            .named("vdisks")
            .iter()
            .filter_map(|member| {
                let vdisk = open(member, &VDISK)?;
                self.vdisk(&member.key, &vdisk, &disk_names, &group_names)
            })
            .collect();
        self.place_groups(&mut groups, &vdisks);
        let nbd = self.root.object("nbd").and_then(|nbd| self.nbd(&nbd));
        let fuse = self.root.object("fuse").and_then(|fuse| self.fuse(&fuse));
        Some(Configuration {
            nbd,
            fuse,
            control: self.control()?,
            state_dir: state_dir?,
            disks,
            vdisks,
            clones: Vec::new(),
            groups,
            document: document.clone(),
        })
    }

    /// Opens the object of a name.
    fn open(&self, member: &'a Member, table: &'static Table) -> Option<Object<'a>> {
        Object::open(&member.value, table, member.key.span, self.root.findings())
    }

    fn resolve(&self, path: Spanned<PathBuf>) -> Spanned<PathBuf> {
        path.map(|path| self.state_dir.join(path))
    }
}
