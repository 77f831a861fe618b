//! Keys, requests and certificates by the host's `openssl`, and key pairs by its `ssh-keygen`: modules of the collection `community.crypto`.
//!
//! What is there is read by `openssl` and compared; what is missing is made on its standard output and then written like any
//! other file, whole or not at all, with mode and owner. Contents that are given as text, and passphrases, never get into a
//! command line or a file: they are in the environment, and reach `openssl` through descriptors of a shell. Start reading at
//! `openssl.rs`, then `publickey.rs`.

pub(super) mod certificate;
pub(super) mod csr;
pub(super) mod dhparam;
pub(super) mod keypair;
mod openssl;
pub(super) mod privatekey;
pub(super) mod publickey;
mod target;

use super::{Arg, Kind};

/// Where a module's file is, and how it is kept.
const TARGET_ARGS: &[Arg] = &[
    Arg::new("path", Kind::Path, "the file").required(),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("force", Kind::Bool, "make it anew in any case").default("no"),
    Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
    Arg::new("return_content", Kind::Bool, "return what is in it").default("no"),
    Arg::new("select_crypto_backend", Kind::Str, "the host's openssl is always used").inert().default("auto").choices(&[
        "auto",
        "cryptography",
        "openssl",
    ]),
];
