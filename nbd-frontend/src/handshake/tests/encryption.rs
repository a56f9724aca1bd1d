//! STARTTLS as the protocol document demands, and what an attacker on the network could insert
//! before it.

use super::*;

/// A handshake that received the client's flags and these messages, driven until it needs bytes or
/// ends.
fn driven(encryption: Encryption, messages: &[Vec<u8>]) -> (Handshake, Vec<u8>, HandshakeProgress) {
    driven_by(BOTH, encryption, messages)
}

/// The same by a client with these flags.
fn driven_by(
    flags: u16,
    encryption: Encryption,
    messages: &[Vec<u8>],
) -> (Handshake, Vec<u8>, HandshakeProgress) {
    let mut handshake =
        Handshake::new(exports(), HandshakeLimits::default()).with_encryption(encryption);
    handshake.sent();
    handshake.receive(&hello(flags, messages));
    let (answers, end) = drive(&mut handshake);
    (handshake, answers, end)
}

fn drive(handshake: &mut Handshake) -> (Vec<u8>, HandshakeProgress) {
    let mut answers = Vec::new();
    loop {
        let progress = handshake.advance();
        answers.extend_from_slice(handshake.outgoing());
        handshake.sent();
        if progress != HandshakeProgress::Continue {
            return (answers, progress);
        }
    }
}

fn go(name: &str) -> Vec<u8> {
    message(option::GO, &go_data(name, &[]))
}

fn start_tls() -> Vec<u8> {
    message(option::STARTTLS, &[])
}

/// The protocol: a server operates in NOTLS mode unless the client set the flag, which means no
/// ERR_TLS_REQD to anything and an error to STARTTLS. In plain text nothing is served all the same.
#[test]
fn a_client_without_fixed_newstyle_hears_of_no_tls_and_is_not_served_where_it_is_required() {
    let asked = [
        start_tls(),
        go("web"),
        message(option::LIST, &[]),
        message(0x4444, b"whatever"),
    ];
    for flags in [0, handshake_flag::NO_ZEROES] {
        let (_, answers, end) = driven_by(flags, Encryption::Required, &asked);
        assert_eq!(kinds(&answers), [option_reply::ERR_POLICY; 4]);
        assert_eq!(end, HandshakeProgress::NeedBytes);
        let old = message(option::EXPORT_NAME, b"web");
        let (_, answers, end) = driven_by(flags, Encryption::Required, &[old]);
        assert!(answers.is_empty(), "not a byte about the export");
        assert!(matches!(end, HandshakeProgress::Broken(_)), "{end:?}");
        // Where TLS is offered only, it is served in plain text.
        let (_, answers, _) = driven_by(flags, Encryption::Offered, &[start_tls()]);
        assert_eq!(kinds(&answers), [option_reply::ERR_POLICY]);
        let old = message(option::EXPORT_NAME, b"web");
        let (_, answers, _) = driven_by(flags, Encryption::Offered, &[old]);
        assert!(!answers.is_empty(), "the export's size and flags");
    }
}

#[test]
fn only_starttls_and_abort_succeed_where_tls_is_required() {
    let asked = [
        go("web"),
        message(option::INFO, &go_data("web", &[])),
        message(option::LIST, &[]),
        message(option::STRUCTURED_REPLY, &[]),
        message(option::LIST_META_CONTEXT, &[]),
        message(0x4444, b"whatever"),
    ];
    let (_, answers, end) = driven(Encryption::Required, &asked);
    assert_eq!(kinds(&answers), [option_reply::ERR_TLS_REQD; 6]);
    assert_eq!(
        end,
        HandshakeProgress::NeedBytes,
        "the client may still start TLS"
    );

    let old = message(option::EXPORT_NAME, b"web");
    let (_, answers, end) = driven(Encryption::Required, &[old]);
    assert!(answers.is_empty(), "not a byte about the export");
    assert!(matches!(end, HandshakeProgress::Broken(_)), "{end:?}");

    let abort = message(option::ABORT, &[]);
    let (_, answers, end) = driven(Encryption::Required, &[abort]);
    assert_eq!(
        (kinds(&answers), end),
        (vec![option_reply::ACK], HandshakeProgress::Aborted)
    );
}

#[test]
fn where_tls_is_offered_the_client_decides() {
    let (handshake, _, end) = driven(Encryption::Offered, &[go("web")]);
    assert!(matches!(end, HandshakeProgress::Agreed(_)), "{end:?}");
    drop(handshake);
    let (_, answers, end) = driven(Encryption::Offered, &[start_tls()]);
    assert_eq!(
        (kinds(&answers), end),
        (vec![option_reply::ACK], HandshakeProgress::StartTls)
    );
}

#[test]
fn what_was_negotiated_before_tls_is_void() {
    let before = [message(option::STRUCTURED_REPLY, &[]), start_tls()];
    let (mut handshake, answers, end) = driven(Encryption::Offered, &before);
    assert_eq!(kinds(&answers), [option_reply::ACK; 2]);
    assert_eq!(end, HandshakeProgress::StartTls);
    handshake.encrypted();
    handshake.receive(&go("web"));
    let (_, end) = drive(&mut handshake);
    assert!(matches!(end, HandshakeProgress::Agreed(_)), "{end:?}");
    assert_eq!(*handshake.negotiated(), Negotiated::default());
}

#[test]
fn options_before_tls_count_against_the_limit() {
    let limits = HandshakeLimits {
        options: 3,
        ..HandshakeLimits::default()
    };
    let mut handshake = Handshake::new(exports(), limits).with_encryption(Encryption::Required);
    handshake.sent();
    let before = [message(option::STRUCTURED_REPLY, &[]), start_tls()];
    handshake.receive(&hello(BOTH, &before));
    assert_eq!(drive(&mut handshake).1, HandshakeProgress::StartTls);
    handshake.encrypted();
    handshake.receive(&message(option::STRUCTURED_REPLY, &[]));
    assert_eq!(drive(&mut handshake).1, HandshakeProgress::NeedBytes);
    handshake.receive(&go("web"));
    let (_, end) = drive(&mut handshake);
    assert!(matches!(end, HandshakeProgress::Broken(_)), "{end:?}");
}

/// However often a client lists, and some options more for each export that there is.
#[test]
fn a_client_that_lists_may_ask_for_each_export() {
    let limits = HandshakeLimits {
        options: 1,
        ..HandshakeLimits::default()
    };
    let mut handshake = Handshake::new(exports(), limits);
    handshake.sent();
    handshake.receive(&hello(BOTH, &[]));
    let most = 1 + 4 * exports().exports().len();
    for _ in 0..most {
        handshake.receive(&message(option::LIST, &[]));
        assert_eq!(drive(&mut handshake).1, HandshakeProgress::NeedBytes);
    }
    handshake.receive(&message(option::LIST, &[]));
    let (_, end) = drive(&mut handshake);
    assert!(matches!(end, HandshakeProgress::Broken(_)), "{end:?}");
}

#[test]
fn bytes_after_starttls_end_the_handshake() {
    let client_hello = [0x16, 3, 1, 2, 0];
    for inserted in [&go("web")[..], &client_hello, b"x"] {
        for encryption in [Encryption::Offered, Encryption::Required] {
            let bytes = [&start_tls()[..], inserted].concat();
            let (handshake, answers, end) = driven(encryption, &[bytes]);
            assert!(matches!(end, HandshakeProgress::Broken(_)), "{end:?}");
            assert!(answers.is_empty(), "not even STARTTLS is answered");
            drop(handshake);
        }
    }
}

#[test]
fn an_invalid_starttls_is_answered_with_an_error_and_the_handshake_continues() {
    let with_data = message(option::STARTTLS, b"data");
    for (encryption, asked, refusal) in [
        (
            Encryption::Unavailable,
            start_tls(),
            option_reply::ERR_UNSUP,
        ),
        (Encryption::Offered, with_data, option_reply::ERR_INVALID),
        (Encryption::Active, start_tls(), option_reply::ERR_INVALID),
    ] {
        let (_, answers, end) = driven(encryption, &[asked, go("web")]);
        assert_eq!(kinds(&answers)[0], refusal, "{encryption:?}");
        assert!(
            matches!(end, HandshakeProgress::Agreed(_)),
            "{encryption:?} {end:?}"
        );
    }
}

/// Admits clients to every export but one.
struct DirectoryWithBusyExport;

impl ExportDirectory for DirectoryWithBusyExport {
    fn exports(&self) -> Vec<Export> {
        exports().exports()
    }

    fn admit(&self, export: &Export) -> Result<(), String> {
        match export.name.as_str() {
            "db" => Err("it is busy".to_owned()),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_client_that_is_not_admitted_gets_an_error_and_may_choose_another_export() {
    let mut handshake = Handshake::new(
        Arc::new(DirectoryWithBusyExport),
        HandshakeLimits::default(),
    );
    handshake.sent();
    let asked = [
        message(option::INFO, &go_data("db", &[])),
        go("db"),
        go("web"),
    ];
    handshake.receive(&hello(BOTH, &asked));
    let (answers, end) = drive(&mut handshake);
    let expected = [
        option_reply::INFO,
        option_reply::ACK,
        option_reply::ERR_POLICY,
        option_reply::INFO,
        option_reply::ACK,
    ];
    assert_eq!(kinds(&answers), expected);
    assert!(matches!(end, HandshakeProgress::Agreed(export) if export.name == "web"));

    let mut handshake = Handshake::new(
        Arc::new(DirectoryWithBusyExport),
        HandshakeLimits::default(),
    );
    handshake.sent();
    handshake.receive(&hello(BOTH, &[message(option::EXPORT_NAME, b"db")]));
    let (answers, end) = drive(&mut handshake);
    assert!(answers.is_empty());
    assert_eq!(end, HandshakeProgress::Broken("it is busy".to_owned()));
}
