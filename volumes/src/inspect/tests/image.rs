//! A small disk as bytes, and labels to put on it.

use super::{Copies, find};
use crate::label::{
    COPY_CAPACITY_BYTES, COPY_OFFSETS, Draft, Extent, Label, Place, Rooms, Step, Update, Uuid,
    VdiskEntry, samples,
};

pub(super) const MIB: u64 = 1 << 20;
pub(super) const DISK_BYTES: u64 = 24 * MIB;

/// The bytes of a disk.
pub(super) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    pub(super) fn blank() -> Image {
        Image {
            bytes: vec![0; DISK_BYTES as usize],
        }
    }

    /// A disk on which both copies carry `label`.
    pub(super) fn with(label: &Label) -> Image {
        let mut image = Image::blank();
        for copy in [0, 1] {
            image.run(Update::heal(label, copy));
        }
        image
    }

    /// A disk with these bytes as its copies.
    pub(super) fn with_copies(copies: [&[u8]; 2]) -> Image {
        let mut image = Image::blank();
        for (offset, copy) in COPY_OFFSETS.iter().zip(copies) {
            image.at(*offset, copy.len()).copy_from_slice(copy);
        }
        image
    }

    pub(super) fn at(&mut self, offset: u64, len: usize) -> &mut [u8] {
        &mut self.bytes[offset as usize..][..len]
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.bytes[..MIB as usize]
    }

    pub(super) fn flip(&mut self, bit: u64) {
        self.bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }

    pub(super) fn run(&mut self, update: Update) {
        for step in update {
            if let Step::Write {
                offset_bytes,
                bytes,
            } = step
            {
                self.at(offset_bytes, bytes.len()).copy_from_slice(&bytes);
            }
        }
    }

    /// Both copies as a program reads them.
    pub(super) fn copies(&self) -> Copies {
        [0, 1].map(|copy: usize| {
            let start = COPY_OFFSETS[copy] as usize;
            let mut draft = Draft::decode(&self.bytes[start..start + COPY_CAPACITY_BYTES])?;
            for section in draft.outside() {
                let (offset, len) = section.replica(copy);
                let bytes = self.bytes[offset as usize..][..len as usize].to_vec();
                draft.supply(&section, bytes);
            }
            draft.finish()
        })
    }

    /// The label that counts, after what has to be healed was healed.
    pub(super) fn healed(&mut self) -> Option<Label> {
        let found = find(self.copies())?;
        if let Some(healing) = found.healing {
            self.run(healing.update);
            let [first, second] = self.copies();
            assert_eq!(first.as_ref(), Ok(&found.label), "copy 0 was not healed");
            assert_eq!(second.as_ref(), Ok(&found.label), "copy 1 was not healed");
        }
        Some(found.label)
    }
}

/// A vdisk with an extent at a MiB and no map.
pub(super) fn vdisk(name: &str, at_mib: u64) -> VdiskEntry {
    let extent = Extent {
        offset_bytes: at_mib * MIB,
        len_bytes: MIB,
        map_offset_bytes: None,
    };
    let uuid = Uuid::from_bytes([at_mib as u8; 16]);
    VdiskEntry::new(name.to_owned(), uuid, MIB, vec![extent])
}

/// A label with two vdisks, whose table lies outside if `outside`, and sections of unknown kinds,
/// one inside and one outside.
pub(super) fn small(outside: bool) -> Label {
    let table = if outside {
        Place::Outside(Rooms::new([4 * MIB, 6 * MIB], 2 * MIB))
    } else {
        Place::Inside
    };
    let rooms = Rooms::new([8 * MIB, 12 * MIB], 2 * MIB);
    let kept = vec![
        (5, b"inside".to_vec(), Place::Inside),
        (6, b"outside".repeat(20), Place::Outside(rooms)),
    ];
    let vdisks = vec![vdisk("a", 1), vdisk("b", 2)];
    samples::label(DISK_BYTES, 14 * MIB, vdisks, table, kept)
}

/// A label whose copies are nearly full, so that a table of a few vdisks lies outside.
pub(super) fn crowded() -> Label {
    let kept_bytes = COPY_CAPACITY_BYTES - 128 - 2 * 64 - 40;
    let kept = vec![(7, vec![0xC3; kept_bytes], Place::Inside)];
    samples::label(DISK_BYTES, DISK_BYTES, Vec::new(), Place::Inside, kept)
}
