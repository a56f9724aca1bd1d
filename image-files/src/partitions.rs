//! The partitions of an image: GPT, else the four of an MBR.
//!
//! Checksums of a GPT are not checked: a file system has its own, and a table that leads nowhere
//! leads to no file system. Logical partitions of an MBR are not listed.

use crate::image::Image;
use disktime_units::little_endian::{u16_at, u32_at, u64_at};
use std::io;

const SECTOR: u64 = 512;
/// Most partitions that are read.
const MOST: u32 = 16;
const GPT_PROTECTIVE: u8 = 0xEE;

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    /// From 1 on.
    pub(crate) number: u32,
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
}

impl Partition {
    /// All of an image of that size.
    pub(crate) fn whole(len_bytes: u64) -> Partition {
        Partition {
            number: 0,
            offset: 0,
            len_bytes,
        }
    }

    /// From sectors; `None` if it does not lie in the image.
    fn new(number: u32, first: u64, sectors: u64, image: &dyn Image) -> Option<Partition> {
        let offset = first.checked_mul(SECTOR)?;
        let len_bytes = sectors.checked_mul(SECTOR)?;
        let end = offset.checked_add(len_bytes)?;
        (first > 0 && sectors > 0 && end <= image.size_bytes()).then_some(Partition {
            number,
            offset,
            len_bytes,
        })
    }
}

/// The first partitions; none where there is no table.
pub(crate) fn find(image: &dyn Image) -> io::Result<Vec<Partition>> {
    let mut head = [0; 2 * SECTOR as usize];
    if image.size_bytes() < head.len() as u64 {
        return Ok(Vec::new());
    }
    image.read_at(0, &mut head)?;
    let (mbr, gpt) = head.split_at(SECTOR as usize);
    if u16_at(mbr, 510) != 0xAA55 {
        return Ok(Vec::new());
    }
    let rows: Vec<&[u8]> = mbr[446..510].chunks(16).collect();
    if rows.iter().any(|row| row[4] == GPT_PROTECTIVE) && gpt.starts_with(b"EFI PART") {
        return of_gpt(image, gpt);
    }
    let found = (1..).zip(rows).filter(|(_, row)| row[4] != 0);
    let found = found.filter_map(|(number, row)| {
        Partition::new(number, u32_at(row, 8).into(), u32_at(row, 12).into(), image)
    });
    Ok(found.collect())
}

fn of_gpt(image: &dyn Image, header: &[u8]) -> io::Result<Vec<Partition>> {
    let row_bytes = u32_at(header, 84) as usize;
    let count = u32_at(header, 80).min(MOST);
    if !(128..=4096).contains(&row_bytes) {
        return Ok(Vec::new());
    }
    let mut table = vec![0; row_bytes * count as usize];
    let at = u64_at(header, 72).checked_mul(SECTOR);
    let fits = |at: &u64| {
        at.checked_add(table.len() as u64)
            .is_some_and(|end| end <= image.size_bytes())
    };
    let Some(at) = at.filter(fits) else {
        return Ok(Vec::new());
    };
    image.read_at(at, &mut table)?;
    let rows = (1..).zip(table.chunks(row_bytes));
    let used = rows.filter(|(_, row)| row[..16].iter().any(|byte| *byte != 0));
    let found = used.filter_map(|(number, row)| {
        let (first, last) = (u64_at(row, 32), u64_at(row, 40));
        let sectors = last.checked_sub(first)?.checked_add(1)?;
        Partition::new(number, first, sectors, image)
    });
    Ok(found.collect())
}
