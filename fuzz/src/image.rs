//! An image of a disk whose bytes are anything: partitions, ext2, ext3 and ext4.
//!
//! The input is the image without most of its zeroes: rows of two bytes that say how many words of
//! eight bytes are zero, one byte that says how many follow, and these. What holds: nothing panics
//! or runs for ever; names are possible names; no more is read than a file has.

use disktime_image_files::{FileKind, FileSystem, Image, ImageFiles, Node, ROOT};
use std::ops::ControlFlow;
use std::sync::Arc;

const WORD: usize = 8;
/// Longest image.
const MOST_BYTES: usize = 4 << 20;
/// Most files of an image that are read.
const MOST_FILES: usize = 200;

/// The entry point.
pub fn run(data: &[u8]) {
    let image: Arc<dyn Image> = Arc::new(decode(data));
    let Ok(files) = ImageFiles::open(&image) else {
        return;
    };
    for tree in files.trees() {
        if let Ok(of) = &tree.file_system
            && let Ok(root) = of.node(ROOT)
        {
            let mut left = MOST_FILES;
            walk(of, &root, &mut left);
        }
    }
}

fn walk(of: &FileSystem, directory: &Node, left: &mut usize) {
    let mut below = Vec::new();
    let _ = of.entries(directory, 0, |entry, _| {
        if *left == 0 {
            return ControlFlow::Break(());
        }
        *left -= 1;
        assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0));
        if let Ok(node) = of.node(entry.inode) {
            look_at(of, &node);
            if node.kind() == FileKind::Directory {
                below.push(node);
            }
        }
        ControlFlow::Continue(())
    });
    for node in below {
        walk(of, &node, left);
    }
}

fn look_at(of: &FileSystem, node: &Node) {
    let size = node.size_bytes();
    let mut part = [0; 3000];
    for offset in [0, 1, size / 2, size.saturating_sub(10), u64::MAX] {
        if let Ok(len) = of.read(node, offset, &mut part) {
            assert_eq!(
                len as u64,
                size.saturating_sub(offset).min(part.len() as u64)
            );
        }
        if let Ok(stretch) = of.stretch(node, offset) {
            assert_eq!(stretch.is_none(), offset >= size);
            assert!(stretch.is_none_or(|one| one.end > offset && one.end <= size));
        }
    }
    if let Ok(target) = of.target(node) {
        assert!((1..=4096).contains(&target.len()));
    }
    let _ = (of.xattrs(node), node.device());
}

/// The image of an input.
fn decode(mut data: &[u8]) -> Vec<u8> {
    let mut image = Vec::new();
    while let Some((&[high, low, words], rest)) = data.split_first_chunk() {
        image.resize(
            image.len() + WORD * usize::from(u16::from_be_bytes([high, low])),
            0,
        );
        let (bytes, behind) = rest.split_at(rest.len().min(WORD * usize::from(words)));
        image.extend_from_slice(bytes);
        data = behind;
        if image.len() > MOST_BYTES {
            break;
        }
    }
    image.truncate(MOST_BYTES);
    image
}

/// The input of an image whose length is a multiple of eight bytes.
pub fn encode(image: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = image.chunks(WORD).collect();
    let is_zero = |word: &&[u8]| word.iter().all(|byte| *byte == 0);
    let (mut at, mut input) = (0, Vec::new());
    while at < words.len() {
        let zeroes = words[at..]
            .iter()
            .take(usize::from(u16::MAX))
            .take_while(|word| is_zero(word));
        let zeroes = zeroes.count();
        at += zeroes;
        let rest = words[at..].iter().take(usize::from(u8::MAX));
        let rest = rest.take_while(|word| !is_zero(word)).count();
        input.extend((zeroes as u16).to_be_bytes());
        input.push(rest as u8);
        input.extend(words[at..at + rest].concat());
        at += rest;
    }
    input
}
