//! The choice of an export: GO, and what the server tells about the export.

use crate::error::ClientError;
use disktime_nbd_protocol::{
    ExportFlags, OptionHeader, OptionReplyHeader, be16, be32, be64, info, option, option_reply,
};
use std::io::{Read, Write};

/// What the server told about the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportInfo {
    /// Its size.
    pub size_bytes: u64,
    /// What it can do.
    pub flags: ExportFlags,
    /// Its description, if it has one.
    pub description: Option<String>,
    /// Minimum, preferred and maximum block size, if the server told.
    pub block_sizes: Option<[u32; 3]>,
}

/// Sends GO for `export` and reads the replies.
pub(crate) fn choose_export(
    output: &mut impl Write,
    input: &mut impl Read,
    export: &str,
) -> Result<ExportInfo, ClientError> {
    let wanted = [info::BLOCK_SIZE, info::DESCRIPTION];
    let mut data = (export.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(export.as_bytes());
    data.extend_from_slice(&(wanted.len() as u16).to_be_bytes());
    for kind in wanted {
        data.extend_from_slice(&kind.to_be_bytes());
    }
    output.write_all(&OptionHeader::message(option::GO, &data))?;
    read_replies(input, export)
}

fn read_replies(input: &mut impl Read, export: &str) -> Result<ExportInfo, ClientError> {
    let mut found: Option<(u64, u16)> = None;
    let (mut description, mut block_sizes) = (None, None);
    loop {
        let mut header = [0; OptionReplyHeader::BYTES];
        input.read_exact(&mut header)?;
        let header = OptionReplyHeader::decode(&header)
            .filter(|header| header.option == option::GO && header.len_bytes <= 64 << 10)
            .ok_or_else(|| ClientError::protocol("a reply to GO is malformed"))?;
        let mut data = vec![0; header.len_bytes as usize];
        input.read_exact(&mut data)?;
        match header.reply {
            option_reply::ACK => break,
            option_reply::INFO if data.len() >= 2 => match (be16(&data, 0), data.len()) {
                (info::EXPORT, 12) => found = Some((be64(&data, 2), be16(&data, 10))),
                (info::BLOCK_SIZE, 14) => {
                    block_sizes = Some([be32(&data, 2), be32(&data, 6), be32(&data, 10)]);
                }
                (info::DESCRIPTION, _) => {
                    description = Some(String::from_utf8_lossy(&data[2..]).into_owned());
                }
                _ => {}
            },
            reply if reply & option_reply::ERROR_BIT != 0 => {
                let cause = match String::from_utf8_lossy(&data) {
                    text if text.is_empty() => format!("error {}", reply & 0xffff),
                    text => text.into_owned(),
                };
                return Err(ClientError::Refused {
                    export: export.to_owned(),
                    cause,
                });
            }
            _ => {}
        }
    }
    let Some((size_bytes, flags)) = found else {
        return Err(ClientError::protocol(
            "no reply to GO tells the export's size",
        ));
    };
    Ok(ExportInfo {
        size_bytes,
        flags: ExportFlags::decode(flags),
        description,
        block_sizes,
    })
}
