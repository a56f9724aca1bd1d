//! Messages as the kernel's header file lays them out, and whatever else may come.

use super::opcode::Opcode;
use super::*;
use proptest::prelude::*;

/// A message: header, fixed part, variable part.
fn message(opcode: u32, inode: u64, fixed: &[u8], variable: &[u8]) -> Vec<u8> {
    let len = HEADER_BYTES + fixed.len() + variable.len();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(len as u32).to_ne_bytes());
    bytes.extend_from_slice(&opcode.to_ne_bytes());
    bytes.extend_from_slice(&77_u64.to_ne_bytes());
    bytes.extend_from_slice(&inode.to_ne_bytes());
    for number in [1_u32, 2, 3, 0] {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    bytes.extend_from_slice(fixed);
    bytes.extend_from_slice(variable);
    bytes
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Two numbers of 32 bits in the place of one of 64.
fn halves(low: u32, high: u32) -> u64 {
    u64::from_ne_bytes(
        [low.to_ne_bytes(), high.to_ne_bytes()]
            .concat()
            .try_into()
            .expect("eight"),
    )
}

#[track_caller]
fn decoded(opcode: Opcode, fixed: &[u8], variable: &[u8], expected: Operation<'_>) {
    let bytes = message(opcode as u32, 5, fixed, variable);
    let header = Header::decode(&bytes).expect("a header");
    assert_eq!((header.unique, header.inode, header.process), (77, 5, 3));
    assert_eq!(header.len_bytes as usize, bytes.len());
    assert_eq!(decode(&header, &bytes[HEADER_BYTES..], None), Ok(expected));
    // The two parts may be apart, the fixed one with unused bytes after it.
    let mut room = fixed.to_vec();
    room.resize(128, 0xEE);
    if opcode != Opcode::Init {
        assert_eq!(decode(&header, &room, Some(variable)), Ok(expected));
    }
}

#[test]
fn requests_are_what_the_kernel_lays_out() {
    let read = words(&[9, 4096, halves(512, 0), 0, 0]);
    let expected = Operation::Read {
        handle: 9,
        offset_bytes: 4096,
        len_bytes: 512,
    };
    decoded(Opcode::Read, &read, b"", expected);
    let write = words(&[9, 4096, halves(3, 0), 0, halves(libc::O_DSYNC as u32, 0)]);
    let expected = Operation::Write {
        handle: 9,
        offset_bytes: 4096,
        len_bytes: 3,
        flags: libc::O_DSYNC as u32,
    };
    decoded(Opcode::Write, &write, b"abc", expected);
    decoded(
        Opcode::Lookup,
        b"",
        b"web\0",
        Operation::Lookup { name: b"web" },
    );
    let rename = |fixed: &[u64], opcode| {
        let expected = Operation::Change {
            verb: "rename",
            name: b"web",
        };
        decoded(opcode, &words(fixed), b"web\0db\0", expected);
    };
    rename(&[1], Opcode::Rename);
    rename(&[1, 0], Opcode::Rename2);
    let allocate = words(&[9, 4096, 8192, halves(3, 0)]);
    let expected = Operation::Allocate {
        handle: 9,
        offset_bytes: 4096,
        len_bytes: 8192,
        mode: 3,
    };
    decoded(Opcode::Allocate, &allocate, b"", expected);
    let seek = words(&[9, 4096, halves(libc::SEEK_HOLE as u32, 0)]);
    let expected = Operation::Seek {
        handle: 9,
        offset_bytes: 4096,
        whence: libc::SEEK_HOLE as u32,
    };
    decoded(Opcode::Seek, &seek, b"", expected);
    let list = words(&[0, 17, halves(4096, 0), 0, 0]);
    let expected = Operation::ReadDirectory {
        from: 17,
        room_bytes: 4096,
        with_attributes: true,
    };
    decoded(Opcode::ReadDirectoryPlus, &list, b"", expected);
}

#[test]
fn only_what_is_marked_valid_is_wanted() {
    // valid, handle, size, owner of locks, three times, three parts of them, mode, unused, user,
    // group, unused
    let mut fixed = words(&[halves(0b1001, 0), 9, 4096, 0, 1, 2, 3]);
    for number in [4_u32, 5, 6, 0o100_644, 0, 7, 8, 0] {
        fixed.extend_from_slice(&number.to_ne_bytes());
    }
    let expected = Operation::SetAttributes(SetAttributes {
        mode: Some(0o100_644),
        size_bytes: Some(4096),
        ..SetAttributes::default()
    });
    decoded(Opcode::SetAttributes, &fixed, b"", expected);
    fixed[..4].copy_from_slice(&0b110_u32.to_ne_bytes());
    let expected = Operation::SetAttributes(SetAttributes {
        user: Some(7),
        group: Some(8),
        ..SetAttributes::default()
    });
    decoded(Opcode::SetAttributes, &fixed, b"", expected);
    for time in [4, 5, 7, 8, 10] {
        fixed[..4].copy_from_slice(&(1_u32 << time).to_ne_bytes());
        let expected = Operation::SetAttributes(SetAttributes {
            times: true,
            ..SetAttributes::default()
        });
        decoded(Opcode::SetAttributes, &fixed, b"", expected);
    }
}

#[test]
fn a_greeting_has_more_flags_if_it_is_long_enough() {
    let short = words(&[halves(7, 31), halves(4096, 1)]);
    let expected = |flags| Operation::Init {
        major: 7,
        minor: 31,
        readahead_bytes: 4096,
        flags,
    };
    decoded(Opcode::Init, &short, b"", expected(1));
    let long = words(&[halves(7, 31), halves(4096, 1), halves(2, 0), 0, 0, 0, 0, 0]);
    let bytes = message(Opcode::Init as u32, 5, &long, b"");
    let header = Header::decode(&bytes).expect("a header");
    let operation = decode(&header, &bytes[HEADER_BYTES..], None);
    assert_eq!(operation, Ok(expected(1 | 2 << 32)));
}

#[test]
fn replies_have_the_lengths_that_the_kernel_expects() {
    type Encode = fn(&mut Vec<u8>);
    let attributes = Attributes {
        inode: 2,
        kind: EntryKind::File,
        mode: 0o600,
        size_bytes: 5000,
        stored_bytes: 513,
        time_ns: 9_000_000_007,
        user: 1,
        group: 2,
        block_bytes: 4096,
    };
    let mut out = Vec::new();
    encode_attributes(&mut out, &attributes);
    assert_eq!(out.len(), 16 + 88);
    let word = |at: usize| u64::from_ne_bytes(out[at..at + 8].try_into().expect("eight"));
    assert_eq!(
        [word(40), word(48), word(56)],
        [9; 3],
        "the seconds of the times"
    );
    assert_eq!(
        [word(64), word(72) & 0xFFFF_FFFF],
        [7 << 32 | 7, 7],
        "the rest"
    );
    assert_eq!(
        (word(16), word(24), word(32)),
        (2, 5000, 2),
        "inode, size, blocks"
    );
    let mode = u32::from_ne_bytes(out[16 + 60..16 + 64].try_into().expect("four"));
    assert_eq!(mode, libc::S_IFREG | 0o600);
    out.clear();
    encode_entry(&mut out, &attributes);
    assert_eq!(out.len(), 40 + 88);
    let lengths: [(Encode, usize); 5] = [
        (|out| encode_open(out, 1, 2), 16),
        (|out| encode_written(out, 1), 8),
        (|out| encode_found(out, 1), 8),
        (
            |out| {
                encode_init(
                    out,
                    &InitReply {
                        readahead_bytes: 0,
                        flags: 0,
                        background_max: 8,
                        request_bytes_max: 1 << 20,
                    },
                )
            },
            64,
        ),
        (
            |out| {
                encode_statistics(
                    out,
                    &Statistics {
                        blocks: 1,
                        block_bytes: 4096,
                        files: 1,
                        name_bytes_max: 255,
                    },
                )
            },
            80,
        ),
    ];
    for (encode, len) in lengths {
        out.clear();
        encode(&mut out);
        assert_eq!(out.len(), len);
    }
    let header = reply_header(77, libc::EIO, 0);
    assert_eq!(header[..4], 16_u32.to_ne_bytes());
    assert_eq!(header[4..8], (-libc::EIO).to_ne_bytes());
    assert_eq!(header[8..], 77_u64.to_ne_bytes());
}

#[test]
fn a_listing_ends_where_its_room_ends() {
    let attributes = Attributes {
        inode: 2,
        kind: EntryKind::File,
        mode: 0o600,
        size_bytes: 1,
        stored_bytes: 1,
        time_ns: 0,
        user: 0,
        group: 0,
        block_bytes: 4096,
    };
    for (with_attributes, line_bytes) in [(false, 24 + 8), (true, 24 + 8 + 128)] {
        for room_bytes in [0, line_bytes - 1, line_bytes, 3 * line_bytes + 5] {
            let mut out = Vec::new();
            let mut listing = Listing::new(&mut out, room_bytes, with_attributes);
            let count = (1..10)
                .take_while(|next| listing.add(b"web", &attributes, *next))
                .count();
            assert_eq!(count, room_bytes / line_bytes);
            assert_eq!(out.len(), count * line_bytes);
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_decoded_or_refused(
        opcode in prop_oneof![1_u32..60, any::<u32>()],
        body in proptest::collection::vec(any::<u8>(), 0..200),
        apart in any::<Option<u8>>(),
    ) {
        let bytes = message(opcode, 1, &body, b"");
        let header = Header::decode(&bytes).expect("long enough");
        let body = &bytes[HEADER_BYTES..];
        let result = match apart {
            None => decode(&header, body, None),
            Some(at) => {
                let (fixed, variable) = body.split_at(usize::from(at).min(body.len()));
                decode(&header, fixed, Some(variable))
            }
        };
        if Opcode::from_number(opcode).is_none() {
            prop_assert_eq!(result, Ok(Operation::Unknown));
        }
    }

    #[test]
    fn a_message_that_is_cut_off_is_refused_or_understood_without_its_end(cut in 0_usize..60) {
        let write = words(&[9, 4096, 3, 0, 0]);
        let bytes = message(Opcode::Write as u32, 5, &write, b"");
        let cut = cut.min(bytes.len());
        let result = Header::decode(&bytes[..cut]).and_then(|header| {
            decode(&header, &bytes[HEADER_BYTES..cut], None).map(|_| ())
        });
        prop_assert!(result.is_err());
    }
}
