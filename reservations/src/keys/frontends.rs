//! The keys of the frontends and of the control socket, and the defaults of their values.

use super::MAX_CONNECTIONS;
use disktime_documents::{Form, Format, Table, ValueKind, key, required_key};
use disktime_units::Nanos;

/// `ADDRESS:PORT`, any number of them.
pub(crate) static ADDRESSES: Format = Format {
    what: "an address with a port",
    form: Form::Nested,
    expected: "a list of addresses with ports, as in [\"127.0.0.1:10809\", \"[::1]:10809\"]",
    definition: "addresses",
};

/// `ADDRESS/BITS` or `ADDRESS`, any number of them.
pub(crate) static NETWORKS: Format = Format {
    what: "a range of addresses",
    form: Form::Nested,
    expected: "a list of addresses or ranges of addresses, as in [\"10.0.0.0/8\", \"::1\"]",
    definition: "networks",
};

/// Permission bits of a file, in octal digits.
static MODE: Format = Format {
    what: "the mode of a socket",
    form: Form::Text,
    expected: "three octal digits for user, group and others, as in \"0660\"",
    definition: "mode",
};

/// A user or group of this machine.
pub(super) static ACCOUNT: Format = Format {
    what: "a user or group",
    form: Form::Text,
    expected: "the name or number of a user or group of this machine, in double quotes",
    definition: "account",
};

pub(crate) const NBD_SOCKET: &str = "nbd.sock";
pub(crate) const NBD_CONNECTIONS: u32 = 256;
pub(crate) const NBD_HANDSHAKE_OPTIONS: u32 = 256;
pub(crate) const FUSE_MOUNT: &str = "vdisks";
pub(crate) const CONTROL_SOCKET: &str = "control.sock";

pub(crate) static NBD: Table = Table::new(
    "the NBD frontend",
    &[&[
        key(
            "socket",
            ValueKind::Path,
            NBD_SOCKET,
            "The unix socket. Sockets that systemd passes (socket activation) replace `socket` \
                and `listen`.",
        ),
        key(
            "socket_mode",
            ValueKind::Format(&MODE),
            "0600",
            "The permissions of the unix socket; a client needs write permission. It also needs \
                access to the directory, which the default `state_dir` does not give to other \
                users.",
        ),
        key(
            "socket_owner",
            ValueKind::Format(&ACCOUNT),
            "the user that runs the server",
            "The user that owns the unix socket.",
        ),
        key(
            "socket_group",
            ValueKind::Format(&ACCOUNT),
            "the group that runs the server",
            "The group that owns the unix socket.",
        ),
        key(
            "listen",
            ValueKind::Format(&ADDRESSES),
            "none",
            "TCP addresses. Without `allow` and without client certificates, every client that \
                reaches the port reaches the data.",
        ),
        key(
            "allow",
            ValueKind::Format(&NETWORKS),
            "every address",
            "The addresses that may connect by TCP; other connections are closed at once. Clients \
                of the unix socket are not checked.",
        ),
        key(
            "tls",
            ValueKind::Object(&TLS),
            "no TLS",
            "Encryption with X.509 certificates (TLS 1.2 and 1.3; pre-shared keys are not \
                supported).",
        ),
        key(
            "connections",
            ValueKind::Integer {
                least: 1,
                most: MAX_CONNECTIONS,
            },
            "256",
            "The most connections at once, handshakes included. Limit reached: a new connection \
                is closed with an error.",
        ),
        key(
            "handshake_time",
            ValueKind::Duration {
                least: Nanos::from_millis(100),
                most: Nanos::from_secs(600),
            },
            "10s",
            "The longest time that a client may take for an option of its handshake, TLS included, \
                until it has chosen a vdisk.",
        ),
        key(
            "handshake_options",
            ValueKind::Integer {
                least: 4,
                most: 65_536,
            },
            "256",
            "The most options that a client may send before it chooses a vdisk, plus four for \
                each vdisk: a client that lists the vdisks asks about each.",
        ),
    ]],
);

pub(crate) static TLS: Table = Table::new(
    "`tls` of the NBD frontend",
    &[&[
        required_key(
            "dir",
            ValueKind::Path,
            "The directory of server-cert.pem, server-key.pem and, for client certificates, \
                ca-cert.pem and optionally ca-crl.pem: the names that libnbd and QEMU use. \
                Changed files are read again for the next connection.",
        ),
        key(
            "require",
            ValueKind::Truth,
            "true",
            "Whether clients must encrypt, on the unix socket too; otherwise they may.",
        ),
        key(
            "client_certificates",
            ValueKind::Truth,
            "false",
            "Whether clients must present a certificate that is signed by ca-cert.pem.",
        ),
    ]],
);

pub(crate) static FUSE: Table = Table::new(
    "the FUSE frontend",
    &[&[
        key(
            "mount",
            ValueKind::Path,
            FUSE_MOUNT,
            "The directory in which each vdisk is a file.",
        ),
        key(
            "history",
            ValueKind::Path,
            "no files of the past",
            "A directory with the past of each vdisk that has a `history`, read-only: \
                VDISK/MOMENT/image is the vdisk at a moment, VDISK/MOMENT/files has the files in \
                it.",
        ),
    ]],
);

pub(crate) static CONTROL: Table = Table::new(
    "the control socket",
    &[&[key(
        "socket",
        ValueKind::Path,
        CONTROL_SOCKET,
        "The unix socket.",
    )]],
);
