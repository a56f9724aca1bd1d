//! Entry point: arbitrary bytes as headers and as URIs.
//!
//! What must hold: a header that decodes encodes to the same bytes; export flags do not change once
//! they were decoded and encoded; a URI that parses, written and parsed again, is the same URI.

use disktime_nbd_protocol::{
    ChunkHeader, ExportFlags, NbdUri, OptionHeader, OptionReplyHeader, RequestHeader, SimpleReply,
    be16,
};

/// The entry point.
pub fn run(data: &[u8]) {
    check_header(data, RequestHeader::decode, RequestHeader::encode);
    check_header(data, SimpleReply::decode, SimpleReply::encode);
    check_header(data, ChunkHeader::decode, ChunkHeader::encode);
    check_header(data, OptionHeader::decode, OptionHeader::encode);
    check_header(data, OptionReplyHeader::decode, OptionReplyHeader::encode);
    if data.len() >= 2 {
        let flags = ExportFlags::decode(be16(data, 0)).encode();
        assert_eq!(ExportFlags::decode(flags).encode(), flags);
    }
    if let Some(uri) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<NbdUri>().ok())
    {
        let text = uri.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&uri), "{text}");
    }
}

fn check_header<T, const BYTES: usize>(
    data: &[u8],
    decode: impl Fn(&[u8; BYTES]) -> Option<T>,
    encode: impl Fn(&T) -> [u8; BYTES],
) {
    if let Some(bytes) = data.first_chunk()
        && let Some(header) = decode(bytes)
    {
        assert_eq!(&encode(&header), bytes, "another encoding");
    }
}
