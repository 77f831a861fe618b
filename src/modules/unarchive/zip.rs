//! The table of contents of a zip file: enough to tell whether what is in it is already on disk. Unpacking is unzip's.

/// Everything before the table may be anything; the record that ends a zip is this long at least.
const END_SIZE: usize = 22;
const END_MARK: [u8; 4] = *b"PK\x05\x06";
const ENTRY_MARK: [u8; 4] = *b"PK\x01\x02";
const ENTRY_SIZE: usize = 46;
/// A comment may follow the end record.
const COMMENT_MAX: usize = 65_535;
/// Made on a system with modes.
const UNIX: u8 = 3;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) crc: u32,
    /// Permissions, where the archive knows them.
    pub(super) mode: Option<u32>,
}

impl Entry {
    pub(super) fn is_dir(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// `None` where the bytes are not a zip file, or one too big for the old format.
pub(super) fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let end = end_of(bytes)?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = usize::try_from(u32_at(bytes, end + 16)?).ok()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let (entry, next) = entry(bytes, at)?;
        entries.push(entry);
        at = next;
    }
    Some(entries)
}

fn end_of(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_SIZE)?;
    (last.saturating_sub(COMMENT_MAX)..=last).rev().find(|at| bytes.get(*at..at + 4) == Some(&END_MARK))
}

/// The entry at `at`, and where the next one begins.
fn entry(bytes: &[u8], at: usize) -> Option<(Entry, usize)> {
    if bytes.get(at..at.checked_add(4)?)? != ENTRY_MARK {
        return None;
    }
    let lengths = [28, 30, 32].map(|field| u16_at(bytes, at + field));
    let [Some(name), Some(extra), Some(comment)] = lengths.map(|length| length.map(usize::from)) else { return None };
    let start = at + ENTRY_SIZE;
    let text = String::from_utf8_lossy(bytes.get(start..start + name)?).into_owned();
    let mode =
        (*bytes.get(at + 5)? == UNIX).then(|| u32_at(bytes, at + 38)).flatten().map(|attributes| attributes >> 16 & 0o7777);
    let entry = Entry {
        name: text,
        size: u32_at(bytes, at + 24)?.into(),
        crc: u32_at(bytes, at + 16)?,
        mode: mode.filter(|mode| *mode != 0),
    };
    Some((entry, start + name + extra + comment))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// The checksum that zip files use.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|at| {
        (0..8).fold(at as u32, |value, _| if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 })
    });
    !bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_is_no_zip_is_none() {
        assert_eq!(entries(b""), None);
        assert_eq!(entries(&[0; 100]), None);
        let mut bytes = END_MARK.to_vec();
        bytes.extend([0xff; 18]);
        assert_eq!(entries(&bytes), None);
    }
}
