//! Labels built byte by byte by the tables of docs/disk-format.md, without the program's codec.

/// A disk's label, apart from its sections.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub generation: u64,
    pub disk_uuid: [u8; 16],
    pub size_bytes: u64,
    pub known_zero: (u64, u64),
    pub incompatible: u64,
    pub compatible: u64,
    pub program: [u16; 3],
}

impl Header {
    /// Of a disk without features, written by 7.1.2.
    pub(crate) fn plain(generation: u64, size_bytes: u64, known_zero: (u64, u64)) -> Header {
        Header {
            generation,
            disk_uuid: [1; 16],
            size_bytes,
            known_zero,
            incompatible: 0,
            compatible: 0,
            program: [7, 1, 2],
        }
    }
}

/// A section: kind, flags, bytes, and the rooms of one that lies outside.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub kind: u32,
    pub flags: u32,
    pub bytes: Vec<u8>,
    /// Offsets of the two, and the bytes of each.
    pub rooms: Option<([u64; 2], u64)>,
}

pub(crate) const MUST_UNDERSTAND: u32 = 1;
pub(crate) const OUTSIDE: u32 = 2;
pub(crate) const SECOND_HALF: u32 = 4;

impl Section {
    /// One that lies inside.
    pub(crate) fn inside(kind: u32, flags: u32, bytes: Vec<u8>) -> Section {
        Section {
            kind,
            flags,
            bytes,
            rooms: None,
        }
    }
}

/// Section 1 inside.
pub(crate) fn vdisks(records: &[Vec<u8>]) -> Section {
    Section::inside(1, MUST_UNDERSTAND, records.concat())
}

/// A record of a vdisk; extents are offset, length, place of the zero map.
pub(crate) fn record(name: &str, uuid: [u8; 16], size: u64, extents: &[[u64; 3]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend((extents.len() as u32).to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(uuid);
    bytes.extend(name.bytes());
    while !bytes.len().is_multiple_of(8) {
        bytes.push(0);
    }
    for number in extents.as_flattened() {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

/// A copy of version 2.
pub(crate) fn version2(header: &Header, sections: &[Section]) -> Vec<u8> {
    let mut directory = Vec::new();
    let mut inside = Vec::new();
    let start = 128 + 64 * sections.len();
    for section in sections {
        let mut places = [0; 3];
        match section.rooms {
            Some(([first, second], room)) => places = [first, second, room],
            None => {
                while !(start + inside.len()).is_multiple_of(8) {
                    inside.push(0);
                }
                places[0] = (start + inside.len()) as u64;
                inside.extend(&section.bytes);
            }
        }
        let entry = directory.len();
        directory.extend(section.kind.to_le_bytes());
        directory.extend(section.flags.to_le_bytes());
        directory.extend((section.bytes.len() as u64).to_le_bytes());
        directory.extend(crc32c::crc32c(&section.bytes).to_le_bytes());
        directory.extend([0; 4]);
        places
            .iter()
            .for_each(|place| directory.extend(place.to_le_bytes()));
        directory.resize(entry + 64, 0);
    }
    let count = sections.len() as u32;
    let mut bytes = shared_header(2, count, header);
    bytes.extend(header.incompatible.to_le_bytes());
    bytes.extend(header.compatible.to_le_bytes());
    for number in header.program {
        bytes.extend(number.to_le_bytes());
    }
    assert_eq!(bytes.len(), 94);
    bytes.resize(128, 0);
    bytes.extend(directory);
    bytes.extend(inside);
    seal(bytes)
}

/// A copy of version 1, of which the header's features and program are no part.
pub(crate) fn version1(header: &Header, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = shared_header(1, records.len() as u32, header);
    bytes.resize(128, 0);
    bytes.extend(records.concat());
    seal(bytes)
}

/// The fields that both versions have in the same places.
fn shared_header(version: u32, count: u32, header: &Header) -> Vec<u8> {
    let mut bytes = b"DISKTIME".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(header.generation.to_le_bytes());
    bytes.extend(header.disk_uuid);
    bytes.extend(header.size_bytes.to_le_bytes());
    bytes.extend(header.known_zero.0.to_le_bytes());
    bytes.extend(header.known_zero.1.to_le_bytes());
    bytes
}

/// Pads a copy, and fills in its length and its checksum.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    while !bytes.len().is_multiple_of(4096) {
        bytes.push(0);
    }
    let length = bytes.len() as u32;
    bytes[16..20].copy_from_slice(&length.to_le_bytes());
    reseal(&mut bytes);
    bytes
}

/// Makes the checksum of a copy right again after a change.
pub(crate) fn reseal(bytes: &mut [u8]) {
    bytes[12..16].fill(0);
    let checksum = crc32c::crc32c(bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}
