//! The commands about files in a virtual disk at moments of its history: `restore` and `diff`. They
//! read the moment's export by the control socket, and find the files in it themselves: the server
//! needs neither a mount nor an NBD section for it.
//!
//! - `diff`: which files differ between two moments.
//! - `restore`: copies a file or a directory out of a moment.

mod diff;
mod restore;

pub(super) use diff::run as diff;
pub(super) use restore::run as restore;

use super::history::HistoryServer;
use crate::failure::{CommandResult, Failure};
use crate::moment_image::MomentImage;
use crate::serving::control_socket::connect_nbd;
use disktime_history::Moment;
use disktime_image_files::{FileError, FileKind, FileSystem, Image, ImageFiles, Node, ROOT};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Symbolic links that are followed on the way to a file.
const MOST_LINKS: usize = 40;

/// A file or a directory at a moment, as a person writes it: `db@before-upgrade:/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    vdisk: String,
    moment: String,
    /// From the root of the file system, or of the directory of its partitions.
    path: Option<String>,
}

impl Place {
    /// The first `:/` ends the moment.
    fn parse(text: &str) -> CommandResult<Place> {
        let (export, path) = match text.find(":/") {
            Some(at) => (&text[..at], Some(text[at + 1..].to_owned())),
            None => (text, None),
        };
        let Some((vdisk, moment)) = export.split_once('@') else {
            return Err(Failure::new(format!(
                "`{text}` names no moment; write it as in db@before-upgrade:/etc/passwd"
            )));
        };
        Moment::parse(moment).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Place {
            vdisk: vdisk.to_owned(),
            moment: moment.to_owned(),
            path,
        })
    }

    fn export(&self) -> String {
        format!("{}@{}", self.vdisk, self.moment)
    }

    /// Opens the moment on the server.
    fn open(&self, server: &HistoryServer) -> CommandResult<ImageFiles> {
        let connection = connect_nbd(&server.control_socket()?)?;
        let image: Arc<dyn Image> = Arc::new(MomentImage::open(connection, &self.export())?);
        let files = ImageFiles::open(&image)?;
        if files.trees().is_empty() {
            return Err(Failure::new(format!(
                "{} holds no ext2, ext3 or ext4 that this program finds, on the whole virtual disk \
                 or in its first partitions; read it over NBD as a whole",
                self.export()
            )));
        }
        Ok(files)
    }
}

/// A file of a moment.
struct Found<'f> {
    of: &'f FileSystem,
    node: Node,
}

/// The file of a path. In an image with partitions the path begins with the number of one.
fn find<'f>(files: &'f ImageFiles, path: &str) -> CommandResult<Found<'f>> {
    let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let trees = files.trees();
    let tree = match trees {
        [whole] if whole.partition.is_none() => whole,
        _ => {
            let number = names.first().and_then(|name| name.parse().ok());
            let meant = trees.iter().find(|tree| tree.partition == number);
            let Some(tree) = meant.filter(|_| number.is_some()) else {
                let numbers = trees.iter().filter_map(|tree| tree.partition);
                let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
                return Err(Failure::new(format!(
                    "there are file systems in partitions ({}), so the path begins with the number \
                     of one, as in :/{}/etc/passwd",
                    numbers.join(", "),
                    numbers[0]
                )));
            };
            names.remove(0);
            tree
        }
    };
    let of = tree.file_system.as_ref();
    let of = of.map_err(|error| Failure::new(error.to_string()))?;
    let names = names.into_iter().map(|name| name.as_bytes().to_vec());
    let node = follow(of, names.collect(), path)?;
    Ok(Found { of, node })
}

/// Follows names from the root, and symbolic links on the way; the last name may be that of a link.
fn follow(of: &FileSystem, mut names: Vec<Vec<u8>>, path: &str) -> CommandResult<Node> {
    let none = || Failure::new(format!("there is no {path} at that moment"));
    names.reverse();
    let mut above = vec![of.node(ROOT)?];
    let mut links = 0;
    while let Some(name) = names.pop() {
        let node = above.last().ok_or_else(none)?;
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                above.truncate(above.len().saturating_sub(1).max(1));
                continue;
            }
            _ => {}
        }
        if node.kind() != FileKind::Directory {
            return Err(none());
        }
        let found = of.node(of.look_up(node, &name)?.ok_or_else(none)?)?;
        if found.kind() != FileKind::Link || names.is_empty() {
            above.push(found);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Failure::new(format!("{path} leads through too many links")));
        }
        let target = of.target(&found)?;
        if target.starts_with(b"/") {
            above.truncate(1);
        }
        names.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
    }
    above.pop().ok_or_else(none)
}

/// The entries of a directory, by name.
fn listed(of: &FileSystem, directory: &Node) -> Result<Vec<(Vec<u8>, u32)>, FileError> {
    let mut entries = Vec::new();
    of.entries(directory, 0, |entry, _| {
        entries.push((entry.name, entry.inode));
        ControlFlow::Continue(())
    })?;
    entries.sort();
    Ok(entries)
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress(template: &str, total: Option<u64>) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(total, target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A path for people.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;
