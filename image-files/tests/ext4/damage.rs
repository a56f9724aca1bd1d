//! Damaged file systems: errors, no panics, no wrong metadata.

use crate::made::{KINDS, content, entries, find, image, open, populate, run};
use disktime_image_files::{FileError, FileKind, FileSystem, Image, Node, ROOT};
use disktime_random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;

/// What is known of every file that can be reached, with the errors.
type Seen = BTreeMap<Vec<u8>, Result<(FileKind, u16, u64), String>>;

/// Reads all that can be reached, as far as `left` files.
fn walk(of: &FileSystem, node: &Node, path: &[u8], left: &mut usize, seen: &mut Seen) {
    let result = of.entries(node, 0, |entry, _| {
        if *left == 0 {
            return ControlFlow::Break(());
        }
        *left -= 1;
        let path = [path, b"/", entry.name.as_slice()].concat();
        let child = of.node(entry.inode);
        let row = child
            .as_ref()
            .map(|child| (child.kind(), child.mode(), child.size_bytes()));
        seen.insert(path.clone(), row.map_err(|error| error.to_string()));
        let Ok(child) = child else {
            return ControlFlow::Continue(());
        };
        let _ = of.xattrs(&child);
        let _ = of.target(&child);
        let _ = of.stretch(&child, 0);
        let mut part = [0; 5000];
        for offset in [
            0,
            child.size_bytes() / 2,
            child.size_bytes().saturating_sub(100),
        ] {
            let _ = of.read(&child, offset, &mut part);
        }
        if child.kind() == FileKind::Directory && path.len() < 200 {
            walk(of, &child, &path, left, seen);
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        seen.insert([path, b"/"].concat(), Err(error.to_string()));
    }
}

fn see(bytes: Vec<u8>) -> Result<Seen, FileError> {
    let len = bytes.len() as u64;
    let image: Arc<dyn Image> = Arc::new(bytes);
    let mut seen = Seen::new();
    if let Some(of) = FileSystem::open(image, 0, len)? {
        walk(&of, &of.node(ROOT)?, b"", &mut 3000, &mut seen);
    }
    Ok(seen)
}

/// The blocks that hold anything but the content of files, as far as it is told by content.
fn changeable(bytes: &[u8]) -> Vec<usize> {
    let used = |(_, block): &(usize, &[u8])| block.iter().any(|byte| *byte != 0);
    bytes
        .chunks(1024)
        .enumerate()
        .filter(used)
        .map(|(at, _)| at * 1024)
        .collect()
}

#[test]
fn flipped_bytes_are_errors_or_change_nothing_with_checksums() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let whole = image(KINDS[0], made_of.path());
    let sound = see(whole.clone()).expect("read");
    assert_eq!(sound.len(), 714);
    let places = changeable(&whole);
    let mut random = Random::new(12);
    let mut errors = 0;
    for _ in 0..150 {
        let mut bytes = whole.clone();
        // A block of metadata is hit seldom among those of content, so many are.
        for _ in 0..20 {
            let at = places[random.below(places.len() as u64) as usize];
            bytes[at + random.below(1024) as usize] ^= 1 << random.below(8);
        }
        let Ok(seen) = see(bytes) else {
            errors += 1;
            continue;
        };
        for (path, row) in seen {
            match row {
                Ok(row) => assert_eq!(sound[&path], Ok(row), "{}", String::from_utf8_lossy(&path)),
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 20, "{errors} errors");
}

#[test]
fn no_damage_panics_without_checksums() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let mut random = Random::new(7);
    for kind in &KINDS[2..] {
        let whole = image(kind, made_of.path());
        let places = changeable(&whole);
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for round in 0..40 {
                // Half of it near the front, where the tables are.
                let among = if round % 2 == 0 {
                    places.len()
                } else {
                    60.min(places.len())
                };
                let at = places[random.below(among as u64) as usize];
                bytes[at + random.below(1024) as usize] = random.below(256) as u8;
            }
            let _ = see(bytes);
        }
    }
}

/// Flips a bit of each block, one at a time, that begins so; what is damaged then.
fn flip<'w>(
    whole: &'w [u8],
    start: &'w [u8],
    flipped: usize,
) -> impl Iterator<Item = FileSystem> + 'w {
    let blocks = whole.chunks(4096).enumerate();
    let meant = blocks.filter(|(_, block)| block.starts_with(start));
    meant.map(move |(at, _)| {
        let mut bytes = whole.to_vec();
        bytes[at * 4096 + flipped] ^= 1;
        open(bytes)
    })
}

#[test]
fn a_damaged_block_of_metadata_is_an_error_of_what_it_belongs_to() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let file = tempfile::NamedTempFile::new().expect("made");
    fs::write(file.path(), image(KINDS[0], made_of.path())).expect("written");
    let request = format!("ea_set holey user.long {}", "v".repeat(900));
    run(Command::new("debugfs")
        .args(["-w", "-R", &request])
        .arg(file.path()));
    let whole = fs::read(file.path()).expect("read");

    let sound = content(&open(whole.clone()), &find(&open(whole.clone()), "holey"));
    // Blocks of the tree that are not used any more may be among them.
    let broken = flip(&whole, &[0x0A, 0xF3], 20).filter(|of| {
        let holey = find(of, "holey");
        assert_eq!(of.xattrs(&holey).expect("sound").len(), 1);
        assert_eq!(content(of, &find(of, "etc/tiny")), b"tiny");
        let mut bytes = vec![0; sound.len()];
        let read = of.read(&holey, 0, &mut bytes);
        assert!(read.is_err() || bytes == sound);
        read.is_err()
    });
    assert_eq!(broken.count(), 1);

    let mut of = flip(&whole, &[0, 0, 2, 0xEA], 4000);
    let of = of.next().expect("there is such a block");
    let holey = find(&of, "holey");
    assert!(of.xattrs(&holey).is_err());
    assert!(content(&of, &holey) == sound);

    let name = b"link";
    let of = open(whole.clone());
    let etc = find(&of, "etc");
    assert_eq!(entries(&of, &etc).len(), 5);
    let at = whole.chunks(4096).find_map(|block| {
        let is_etc = block.windows(6).any(|bytes| bytes == b"passwd");
        let at = block.windows(name.len()).position(|bytes| bytes == name);
        at.filter(|_| is_etc && block[..4] == etc.number().to_le_bytes())
    });
    let at = at.expect("the directory is there");
    let start = etc.number().to_le_bytes();
    let of = flip(&whole, &start, at)
        .next()
        .expect("there is such a block");
    assert!(of.look_up(&find(&of, "etc"), b"passwd").is_err());
    assert!(content(&of, &find(&of, "holey")) == sound);
}

#[test]
fn one_damaged_inode_is_an_error_of_its_files_alone() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let mut bytes = image(KINDS[0], made_of.path());
    let of = open(bytes.clone());
    let root = of.node(ROOT).expect("a root");
    let sound = entries(&of, &root).len();
    let target = b"../etc/passwd";
    let at = bytes
        .windows(target.len())
        .position(|found| found == target);
    bytes[at.expect("the link lies in its inode")] ^= 1;
    let seen = see(bytes).expect("read");
    let broken: Vec<_> = seen
        .iter()
        .filter(|(_, row)| row.is_err())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(broken, [b"/etc/link"]);
    assert!(seen.len() > sound);
}

#[test]
fn content_that_leads_to_itself_is_an_error() {
    let place = tempfile::tempdir().expect("made");
    fs::write(place.path().join("tiny"), b"a marker of a tiny file").expect("written");
    let features = "inline_data,ea_inode,^metadata_csum,^has_journal";
    let mut bytes = image(&["-t", "ext4", "-I", "256", "-O", features], place.path());
    let inode = {
        let of = open(bytes.clone());
        let node = find(&of, "tiny");
        assert_eq!(content(&of, &node), b"a marker of a tiny file");
        node.number()
    };
    // The inode has the marker where other files have the places of their blocks, and behind that
    // the attribute of content inside of an inode, whose entry names no inode for its value.
    let marker = bytes.windows(8).position(|bytes| bytes == b"a marker");
    let marker = marker.expect("it lies in the inode");
    let entry = bytes[marker..marker + 216]
        .windows(4)
        .position(|bytes| bytes == 0xEA02_0000_u32.to_le_bytes());
    let entry = marker + entry.expect("it has attributes") + 4;
    assert_eq!(&bytes[entry + 16..entry + 20], b"data");
    bytes[entry + 4..entry + 8].copy_from_slice(&inode.to_le_bytes());
    bytes[entry + 8..entry + 12].copy_from_slice(&8_u32.to_le_bytes());
    let of = open(bytes);
    let node = find(&of, "tiny");
    let read = of.read(&node, 0, &mut [0; 100]);
    assert!(matches!(read, Err(FileError::Damaged(_))), "{read:?}");
    assert!(matches!(of.xattrs(&node), Err(FileError::Damaged(_))));
}

/// An image of which one block cannot be read.
struct Rotten {
    bytes: Vec<u8>,
    bad: usize,
}

impl Image for Rotten {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let (from, to) = (offset as usize, offset as usize + into.len());
        if from < self.bad + 1024 && to > self.bad {
            return Err(std::io::ErrorKind::Other.into());
        }
        into.copy_from_slice(&self.bytes[from..to]);
        Ok(())
    }
}

/// Tables are read with what lies around them, and one bad block there costs what is in it.
#[test]
fn a_block_that_cannot_be_read_costs_what_lies_in_it() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let whole = image(KINDS[0], made_of.path());
    let len = whole.len() as u64;
    let mut costly = Vec::new();
    for bad in changeable(&whole) {
        let bytes = whole.clone();
        let image: Arc<dyn Image> = Arc::new(Rotten { bytes, bad });
        let Ok(Some(of)) = FileSystem::open(image, 0, len) else {
            costly.push(bad / 4096);
            continue;
        };
        let mut seen = Seen::new();
        if let Ok(root) = of.node(ROOT) {
            walk(&of, &root, b"", &mut 3000, &mut seen);
        }
        let errors = seen.values().filter(|row| row.is_err()).count();
        // A directory's block has up to 200 names.
        if errors > 40 || seen.len() < 500 {
            costly.push(bad / 4096);
        }
    }
    costly.dedup();
    // The superblock, the descriptors of groups, and directories with their inodes.
    assert!(costly.len() <= 12, "{costly:?}");
}
