//! Entry point: arbitrary bytes of a client during the handshake.
//!
//! The first four bytes of the input choose limits, encryption and how the rest is cut; the rest is
//! what the client sends. What must hold: each step consumes bytes or needs more, so a handshake
//! ends with its input; the replies of one step are bounded; a chosen export was offered.

use disktime_engine::VdiskId;
use disktime_nbd::{
    Encryption, Export, ExportDirectory, ExportHandle, Handshake, HandshakeLimits,
    HandshakeProgress,
};
use std::sync::{Arc, LazyLock};

/// Bytes of the input that the client does not send.
pub const CONTROL_BYTES: usize = 4;

static EXPORTS: LazyLock<Arc<dyn ExportDirectory>> = LazyLock::new(|| {
    let mut exports: Vec<Export> = ["disk", "web", "größer"]
        .iter()
        .zip(0..)
        .map(|(name, at)| {
            let handle = ExportHandle(u128::from(at));
            Export::new(handle, VdiskId(at), name, 1 << (20 + at))
        })
        .collect();
    exports[1].description = "40 % of hdd0 in every 250 ms".into();
    exports[2].flags.read_only = true;
    Arc::new(exports)
});

/// The entry point.
pub fn run(data: &[u8]) {
    let Some((control, mut rest)) = data.split_at_checked(CONTROL_BYTES) else {
        return;
    };
    let limits = HandshakeLimits {
        option_bytes: 16 + 64 * u32::from(control[0]),
        options: 1 + u32::from(control[1]),
    };
    let step = 1 + usize::from(control[2]);
    let encryption = [
        Encryption::Unavailable,
        Encryption::Offered,
        Encryption::Required,
    ][usize::from(control[3]) % 3];
    let mut handshake = Handshake::new(EXPORTS.clone(), limits).with_encryption(encryption);
    let (mut turns, turns_max) = (0, 2 * data.len() + 2);
    loop {
        turns += 1;
        assert!(turns <= turns_max, "a handshake outlives its input");
        let progress = handshake.advance();
        // A list of three short exports, or the reply to the longest name.
        assert!(
            handshake.outgoing().len() <= 32 << 10,
            "too many bytes of replies"
        );
        handshake.sent();
        match progress {
            HandshakeProgress::Continue => {}
            HandshakeProgress::NeedBytes => {
                if rest.is_empty() {
                    return;
                }
                let (now, later) = rest.split_at(rest.len().min(step));
                handshake.receive(now);
                rest = later;
            }
            HandshakeProgress::StartTls => {
                assert_ne!(encryption, Encryption::Unavailable, "TLS was not offered");
                handshake.encrypted();
            }
            HandshakeProgress::Agreed(export) => return check(&export, handshake, data.len()),
            HandshakeProgress::Aborted | HandshakeProgress::Broken(_) => return,
        }
    }
}

fn check(export: &Export, handshake: Handshake, input_bytes: usize) {
    let offered = EXPORTS.find(&export.name);
    assert_eq!(offered.as_ref(), Some(export), "the export was not offered");
    let negotiated = handshake.negotiated();
    assert!(negotiated.structured || negotiated.allocation.is_none());
    assert!(handshake.into_rest().len() <= input_bytes);
}
