//! Unit tests of `channel`.

use super::*;
use crate::tls::{ServerCredentials, TlsSettings};
use disktime_test_tls::fill;
use proptest::prelude::*;

proptest! {
    #[test]
    fn garbage_ends_the_handshake_and_nothing_else(
        garbage in prop::collection::vec(any::<u8>(), 1..600),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let credentials = ServerCredentials::load(TlsSettings {
            dir: dir.path().to_owned(),
            client_certificates: false,
        });
        let mut channel = credentials.expect("valid files").channel().expect("a channel");
        channel.space()[..garbage.len()].copy_from_slice(&garbage);
        channel.filled(garbage.len());
        // Either it is not TLS, or it is the beginning of something longer; it is never complete.
        if channel.advance_handshake().is_ok() {
            prop_assert!(channel.is_handshaking());
            prop_assert_eq!(channel.read(&mut [0; 16]), Ok(Decrypted::NeedInput));
        }
        prop_assert!(channel.outgoing().len() < 64, "an alert at most");
    }
}
