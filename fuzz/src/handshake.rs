//! Entry point: arbitrary bytes of a client during the handshake.
//!
//! The first four bytes of the input choose limits, encryption and how the rest is cut; the rest is
//! what the client sends. What must hold: each step consumes bytes or needs more, so a handshake
//! ends with its input; the replies of one step are bounded; a chosen export was offered.

use disktime_engine::VdiskId;
use disktime_nbd::{
    ChangedRanges, ContextHandle, Encryption, Export, ExportDirectory, ExportHandle, Handshake,
    HandshakeLimits, HandshakeProgress,
};
use disktime_nbd_protocol::dirty_bitmap;
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
    Arc::new(Exports(exports))
});

/// Exports of which the first has metadata contexts: numbers, of which two are listed and odd ones
/// cannot be opened.
struct Exports(Vec<Export>);

impl ExportDirectory for Exports {
    fn exports(&self) -> Vec<Export> {
        self.0.clone()
    }

    fn contexts(&self, export: &Export) -> Vec<String> {
        let count = if export.name == "disk" { 2 } else { 0 };
        let name = |number| format!("{}{number}", dirty_bitmap::PREFIX);
        (1..=count).map(name).collect()
    }

    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        let number = name.strip_prefix(dirty_bitmap::PREFIX)?.parse().ok()?;
        (export.name == "disk").then_some(ContextHandle(number))
    }

    fn open_contexts(
        &self,
        export: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        assert!(
            export.name == "disk" || contexts.is_empty(),
            "the export has none"
        );
        let open = |context: &ContextHandle| match context.0 % 2 {
            0 => Ok(ChangedRanges::default()),
            _ => Err("it is odd".to_owned()),
        };
        contexts.iter().map(open).collect()
    }
}

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
    let has_contexts = negotiated.allocation.is_some() || !negotiated.changed.is_empty();
    assert!(negotiated.structured || !has_contexts);
    assert!(export.name == "disk" || negotiated.changed.is_empty());
    assert!(negotiated.changed.len() <= 8);
    let mut numbers: Vec<u32> = negotiated.changed.iter().map(|one| one.number).collect();
    numbers.extend(negotiated.allocation);
    numbers.sort_unstable();
    let are_distinct = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(are_distinct, "contexts share a number");
    assert!(handshake.into_rest().len() <= input_bytes);
}
