//! The sums that Ansible's return values carry, of files of any size.

use crate::value::hex;
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Above this it pays to let two processors work.
const BIG: u64 = 8 << 20;

pub(super) struct Sums {
    pub(super) sha1: String,
    pub(super) md5: String,
}

pub(super) fn of_file(path: &Path) -> io::Result<Sums> {
    if std::fs::metadata(path)?.len() < BIG {
        return Ok(Sums { sha1: sum::<Sha1>(path)?, md5: sum::<md5::Md5>(path)? });
    }
    std::thread::scope(|scope| {
        let md5 = scope.spawn(|| sum::<md5::Md5>(path));
        let sha1 = sum::<Sha1>(path)?;
        Ok(Sums { sha1, md5: md5.join().map_err(|_| io::Error::other("the sum could not be made"))?? })
    })
}

pub(super) fn sum<D: Digest>(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = D::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&digest.finalize())),
            size => digest.update(&piece[..size]),
        }
    }
}
