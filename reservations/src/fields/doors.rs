//! The keys of the doors and of the control socket.

use super::{Kind, MAX_CONNECTIONS, Table, field, required};
use disktime_units::Nanos;

pub(crate) static NBD: Table = Table {
    what: "the NBD door",
    fields: &[
        field(
            "socket",
            Kind::Path,
            "nbd.sock",
            "The unix socket. When systemd hands sockets over, those are used instead of `socket` and `listen`.",
        ),
        field(
            "socket_mode",
            Kind::Mode,
            "0600",
            "Who may use the unix socket; to write is to use it. Its folder must let them in too, which `state_dir` does not.",
        ),
        field(
            "socket_owner",
            Kind::Account,
            "who runs the server",
            "The user whom the unix socket belongs to.",
        ),
        field(
            "socket_group",
            Kind::Account,
            "the group that the server runs in",
            "The group that the unix socket belongs to.",
        ),
        field(
            "listen",
            Kind::Addresses,
            "none",
            "TCP addresses. Without `allow` and without client certificates, whoever reaches the port reaches the data.",
        ),
        field(
            "allow",
            Kind::Networks,
            "everybody",
            "Who may connect by TCP; others are closed at once. The unix socket is not asked.",
        ),
        field(
            "tls",
            Kind::Object(&TLS),
            "no TLS",
            "Encrypt, by X.509 certificates (TLS 1.2 and 1.3; there are no pre-shared keys).",
        ),
        field(
            "connections",
            Kind::Integer {
                least: 1,
                most: MAX_CONNECTIONS,
            },
            "256",
            "The most connections at once, handshakes included. More are told so and closed.",
        ),
        field(
            "handshake_time",
            Kind::Duration {
                least: Nanos::from_millis(100),
                most: Nanos::from_secs(600),
            },
            "10s",
            "How long a client may take from its connection to the choice of a vdisk, TLS included.",
        ),
        field(
            "handshake_options",
            Kind::Integer {
                least: 4,
                most: 65_536,
            },
            "256",
            "The most options that a client may send before it has chosen a vdisk, beside four for each vdisk: who lists them asks about each.",
        ),
    ],
};

pub(crate) static TLS: Table = Table {
    what: "`tls` of the NBD door",
    fields: &[
        required(
            "dir",
            Kind::Path,
            "The directory of server-cert.pem, server-key.pem and, for client certificates, ca-cert.pem and perhaps ca-crl.pem: the names that libnbd and QEMU use. Changed files are read anew for the next connection.",
        ),
        field(
            "require",
            Kind::Truth,
            "true",
            "Whether clients have to encrypt, by the unix socket too; otherwise they may.",
        ),
        field(
            "client_certificates",
            Kind::Truth,
            "false",
            "Whether clients have to show a certificate that is signed by ca-cert.pem.",
        ),
    ],
};

pub(crate) static FUSE: Table = Table {
    what: "the FUSE door",
    fields: &[field(
        "mount",
        Kind::Path,
        "vdisks",
        "The directory in which each vdisk is a file.",
    )],
};

pub(crate) static CONTROL: Table = Table {
    what: "the control socket",
    fields: &[field(
        "socket",
        Kind::Path,
        "control.sock",
        "The unix socket.",
    )],
};
