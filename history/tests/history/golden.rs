//! The blocks of a log, built by the tables of docs/history-format.md, byte by byte.

use crate::driver::{DISK, Driver, LOG, VDISK, geometry, settings};
use disktime_history::{UNIT_BYTES, WhenFull, new_log};
use disktime_random::SplitMix64;

/// A unit of zeroes with fields at their places.
fn block(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; UNIT_BYTES];
    for (at, field) in fields {
        block[*at..*at + field.len()].copy_from_slice(field);
    }
    block
}

fn seed(epoch: u64, segment: u64) -> u32 {
    let parts = [&LOG[..], &epoch.to_le_bytes(), &segment.to_le_bytes()];
    crc32c::crc32c(&parts.concat())
}

fn sealed(mut block: Vec<u8>, at: usize, seed: u32) -> Vec<u8> {
    let checksum = crc32c::crc32c_append(seed, &block);
    block[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    block
}

#[test]
fn a_superblock_is_what_the_table_says() {
    let expected = block(&[
        (0, b"DTHSUPER"),
        (8, &1_u32.to_le_bytes()),
        (16, &LOG),
        (32, &VDISK),
        (48, &DISK),
        (64, &1_u64.to_le_bytes()),
        (88, &[0, 0, 1, 0, 0, 0]),
        (96, &16_u32.to_le_bytes()),
        (100, &6_u32.to_le_bytes()),
        (104, &24_u64.to_le_bytes()),
        (112, &1_u64.to_le_bytes()),
        (144, &1_u64.to_le_bytes()),
        (264, &1_u64.to_le_bytes()),
    ]);
    let made = new_log(geometry(16, 6, 24), [0, 1, 0]).expect("possible");
    assert!(made == sealed(expected, 12, 0));
}

/// The first segment of a log: header, EPOCH, BRANCH, CHECKPOINT, a write of two blocks and a trim.
#[test]
fn a_segment_is_what_the_tables_say() {
    let mut random = SplitMix64::new(1);
    let mut driver = Driver::new(geometry(16, 6, 24), settings(1, WhenFull::Refuse));
    driver.run(&mut random);
    let data = [vec![1; UNIT_BYTES], vec![2; UNIT_BYTES]].concat();
    let first = driver.write(5, data.clone(), true).expect("taken");
    let second = driver.request();
    driver.log.zero(second, 9, 3, true, true).expect("taken");
    driver.finish(first, &mut random).expect("answered");
    driver.finish(second, &mut random).expect("answered");
    let unit = |at: usize| &driver.disk.bytes[at * UNIT_BYTES..(at + 1) * UNIT_BYTES];
    let time = |at: usize, field: usize| {
        let bytes = &unit(at)[field..field + 8];
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    };

    let header = block(&[
        (0, b"DTHSEGMT"),
        (8, &1_u32.to_le_bytes()),
        (16, &1_u64.to_le_bytes()),
        (24, &2_u64.to_le_bytes()),
        (32, &1_u64.to_le_bytes()),
        (40, &1_u64.to_le_bytes()),
        (64, &1_u32.to_le_bytes()),
        (72, &time(32, 72).to_le_bytes()),
    ]);
    assert!(unit(32) == sealed(header, 12, seed(0, 1)));

    let batch =
        |at: usize, number: u64, seq: u64, durable: u64, branch: u64, rest: &[(usize, &[u8])]| {
            // The CHECKPOINT has a unit of payload.
            let previous = match at {
                33 => &unit(32)[12..16],
                37 => &unit(35)[4..8],
                _ => &unit(at - 1)[4..8],
            };
            let mut bytes = block(&[
                (0, b"DTHB"),
                (8, &1_u16.to_le_bytes()),
                (16, &1_u64.to_le_bytes()),
                (24, &2_u64.to_le_bytes()),
                (32, &number.to_le_bytes()),
                (40, &seq.to_le_bytes()),
                (48, &durable.to_le_bytes()),
                (56, &time(at, 56).to_le_bytes()),
                (64, &branch.to_le_bytes()),
                (72, &(at as u32).to_le_bytes()),
                (76, previous),
            ]);
            for (at, field) in rest {
                bytes[*at..*at + field.len()].copy_from_slice(field);
            }
            sealed(bytes, 4, seed(2, 1))
        };
    let epoch = [(10, &[4_u8][..]), (80, &[17]), (192, &[1])];
    assert!(unit(33) == batch(33, 1, 1, 0, 0, &epoch), "EPOCH");
    let branch = [(10, &[3_u8][..]), (80, &[17]), (208, &[1])];
    assert!(unit(34) == batch(34, 2, 2, 0, 0, &branch), "BRANCH");

    let mut tables = vec![0; 4 * 16 + 40 + 56 + 48];
    // Sections: type, rows, bytes of a row, bytes of all.
    for (at, numbers) in [
        (0, [1_u8, 1, 40, 40]),
        (56, [2, 1, 56, 56]),
        (128, [3, 1, 48, 48]),
        (192, [4, 0, 0, 0]),
    ] {
        for (index, number) in numbers.into_iter().enumerate() {
            tables[at + 4 * index] = number;
        }
    }
    let numbers = [
        (32, 2_u8),
        (40, 24),
        (72, 1),
        (88, 1),
        (124, 1),
        (144, 2),
        (184, 1),
    ];
    for (at, number) in numbers {
        tables[at] = number;
    }
    tables[104..112].copy_from_slice(&time(32, 72).to_le_bytes());
    assert!(unit(36)[..tables.len()] == tables, "tables");
    let sum = crc32c::crc32c_append(seed(0, 1), unit(36)).to_le_bytes();
    let checkpoint = [(10, &[5_u8][..]), (14, &[1]), (80, &[208]), (3072, &sum)];
    assert!(unit(35) == batch(35, 3, 3, 0, 2, &checkpoint), "CHECKPOINT");

    assert!(unit(38) == &data[..UNIT_BYTES] && unit(39) == &data[UNIT_BYTES..]);
    let sums = [38, 39].map(|at| crc32c::crc32c_append(seed(0, 1), unit(at)).to_le_bytes());
    let data = [
        (10, &[1_u8][..]),
        (12, &[2]),
        (14, &[2]),
        (192, &[5]),
        (200, &[2]),
        (204, &[1]),
        (216, &[9]),
        (224, &[3]),
        (228, &[3]),
        (3072, &sums[0]),
        (3076, &sums[1]),
    ];
    assert!(unit(37) == batch(37, 4, 4, 3, 2, &data), "DATA");
}

/// A vdisk that has grown: feature bit and sizes in the superblocks, RESIZE, and the section of
/// sizes in the next checkpoint.
#[test]
fn a_size_is_what_the_tables_say() {
    let mut random = SplitMix64::new(1);
    let mut driver = Driver::new(geometry(16, 6, 24), settings(1, WhenFull::Refuse));
    driver.run(&mut random);
    driver.make_space(40, 7);
    driver.log.grow(40, 7).expect("taken");
    driver.run(&mut random);
    driver.log.close();
    driver.run(&mut random);
    let bytes = &driver.disk.bytes;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    for unit in [0, 16] {
        let at = unit * UNIT_BYTES;
        assert_eq!([number(at + 72), number(at + 104)], [8, 40]);
        assert_eq!(bytes[at + 100..at + 104], 7_u32.to_le_bytes());
    }
    // Behind EPOCH, BRANCH, and the CHECKPOINT with its tables.
    let resize = 37 * UNIT_BYTES;
    assert_eq!(&bytes[resize..resize + 4], b"DTHB");
    assert_eq!([bytes[resize + 10], bytes[resize + 80]], [11, 8]);
    let (seq, blocks) = (number(resize + 40), number(resize + 192));
    assert_eq!((seq, blocks), (4, 40));
    let mut header = bytes[resize..resize + UNIT_BYTES].to_vec();
    let checksum: Vec<u8> = header.splice(4..8, [0; 4]).collect();
    assert_eq!(
        crc32c::crc32c_append(seed(2, 1), &header).to_le_bytes(),
        checksum[..]
    );

    let tables = 39 * UNIT_BYTES;
    let head = [number(tables + 40), number(tables + 16)];
    assert_eq!(head, [40, 0], "size, floor");
    let section = tables + 4 * 16 + 40 + 56 + 48;
    let words = [8_u32, 2, 16, 32].map(u32::to_le_bytes).concat();
    assert_eq!(bytes[section..section + 16], words);
    let rows = [16, 24, 32, 40].map(|at| number(section + at));
    assert_eq!(
        rows,
        [0, 24, seq, 40],
        "from the beginning 24 blocks, then 40"
    );
}
