//! Filters by chance. With a seed they give what Python's generator gives, so that a schedule spread over hosts by their
//! names stays where it is.

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use sha2::{Digest, Sha512};
use std::hash::{BuildHasher, Hasher};

pub(super) const FILTERS: &[Filter] = &[
    filter("random", &["start", "step", "seed"], "a number or an item by chance", random),
    filter("shuffle", &["seed"], "in an order by chance", shuffle),
    filter("community.general.random_mac", &["seed"], "a hardware address by chance", random_mac).or(&["random_mac"]),
];

/// The Mersenne Twister.
struct Twister {
    state: Vec<u32>,
    next: usize,
}

const LENGTH: usize = 624;
const MIDDLE: usize = 397;

impl Twister {
    fn from_number(seed: u32) -> Twister {
        let mut state = vec![seed];
        for index in 1..LENGTH {
            let last = state[index - 1];
            state.push(1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(u32::try_from(index).unwrap_or(0)));
        }
        Twister { state, next: LENGTH }
    }

    fn from_key(key: &[u32]) -> Twister {
        let mut twister = Twister::from_number(19_650_218);
        let state = &mut twister.state;
        let (mut at, mut key_at) = (1, 0);
        for _ in 0..LENGTH.max(key.len()) {
            let last = state[at - 1];
            let mixed = state[at] ^ (last ^ (last >> 30)).wrapping_mul(1_664_525);
            state[at] = mixed.wrapping_add(key[key_at]).wrapping_add(u32::try_from(key_at).unwrap_or(0));
            at += 1;
            key_at = (key_at + 1) % key.len();
            if at >= LENGTH {
                state[0] = state[LENGTH - 1];
                at = 1;
            }
        }
        for _ in 0..LENGTH - 1 {
            let last = state[at - 1];
            let mixed = state[at] ^ (last ^ (last >> 30)).wrapping_mul(1_566_083_941);
            state[at] = mixed.wrapping_sub(u32::try_from(at).unwrap_or(0));
            at += 1;
            if at >= LENGTH {
                state[0] = state[LENGTH - 1];
                at = 1;
            }
        }
        state[0] = 0x8000_0000;
        twister
    }

    /// As Python seeds with a text: the text and its SHA-512 as one large number.
    fn from_text(seed: &str) -> Twister {
        let mut bytes = seed.as_bytes().to_vec();
        bytes.extend_from_slice(&Sha512::digest(seed.as_bytes()));
        let mut key: Vec<u32> =
            bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))).collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        Twister::from_key(&key)
    }

    fn from_seed(seed: Option<&Val>) -> Twister {
        match seed {
            Some(Val::Int(number)) => {
                let number = number.unsigned_abs();
                let (low, high) = (number as u32, (number >> 32) as u32);
                if high == 0 { Twister::from_key(&[low]) } else { Twister::from_key(&[low, high]) }
            }
            Some(seed) => Twister::from_text(&seed.to_text()),
            None => {
                let chance = || {
                    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
                    hasher.write_u8(0);
                    hasher.finish() as u32
                };
                Twister::from_key(&[chance(), chance(), chance(), chance()])
            }
        }
    }

    fn refill(&mut self) {
        for at in 0..LENGTH {
            let bits = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % LENGTH] & 0x7fff_ffff);
            let twist = if bits & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + MIDDLE) % LENGTH] ^ (bits >> 1) ^ twist;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next >= LENGTH {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.word() >> (32 - count.max(1)));
        }
        let low = u64::from(self.word());
        let high = u64::from(self.word() >> (64 - count));
        (high << 32) | low
    }

    /// A number below `end`, which is positive.
    fn below(&mut self, end: u64) -> u64 {
        let count = 64 - end.leading_zeros();
        loop {
            let number = self.bits(count);
            if number < end {
                return number;
            }
        }
    }
}

/// A number below `end` by chance.
pub(crate) fn random_below(end: usize) -> usize {
    let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
    usize::try_from(Twister::from_seed(None).below(end)).unwrap_or(0)
}

/// So many characters of a set, which nobody can guess; with a seed, those that Python's generator would choose.
pub(crate) fn random_text(set: &[char], length: usize, seed: Option<&Val>) -> String {
    let end = u64::try_from(set.len().max(1)).unwrap_or(1);
    let mut twister = seed.map(|seed| Twister::from_seed(Some(seed)));
    let mut chosen = || match &mut twister {
        Some(twister) => twister.below(end),
        None => unguessable_below(end),
    };
    (0..length).filter_map(|_| set.get(usize::try_from(chosen()).unwrap_or(0))).collect()
}

/// From the system's own generator; the remainder's bias is below 2^-56.
fn unguessable_below(end: u64) -> u64 {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    let number = match read {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => std::collections::hash_map::RandomState::new().build_hasher().finish(),
    };
    number % end.max(1)
}

fn random(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut twister = Twister::from_seed(call.given(2));
    if let Some(end) = call.input.as_int() {
        let (start, step) = (call.int_arg(0, 0)?, call.int_arg(1, 1)?);
        let width = i128::from(end) - i128::from(start);
        let count = match step {
            0 => return Err("zero step for randrange()".into()),
            step if step > 0 => (width + i128::from(step) - 1) / i128::from(step),
            step => (width + i128::from(step) + 1) / i128::from(step),
        };
        let count = u64::try_from(count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| format!("empty range for randrange() ({start}, {end}, {step})"))?;
        let chosen = i64::try_from(twister.below(count)).unwrap_or(0);
        return Ok(Val::Int(start + step * chosen));
    }
    if call.given(0).is_some() || call.given(1).is_some() {
        return Err("start and step can only be used with integer values".into());
    }
    let items = call.items().map_err(|_| "random can only be used on sequences and integers")?;
    if items.is_empty() {
        return Err("Cannot choose from an empty sequence".into());
    }
    let chosen = twister.below(u64::try_from(items.len()).unwrap_or(1));
    let index = usize::try_from(chosen).unwrap_or(0);
    Ok(items.into_iter().nth(index).unwrap_or(Val::None))
}

/// Hardware addresses have so many parts.
const PARTS: usize = 6;

/// A hardware address that starts with what is given.
fn random_mac(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Str(text) = &call.input else {
        let shown = crate::template::calls::shown(&call.input);
        return Err(format!("Invalid value type (<class '{}'>) for random_mac ({shown})", call.input.kind()).into());
    };
    let start = text.to_lowercase();
    let parts: Vec<&str> = start.split(':').collect();
    let wrong = |reason: String| Err(format!("Invalid value ({start}) for random_mac: {reason}").into());
    if parts.len() >= PARTS {
        return wrong(format!("{} colon(:) separated items max", PARTS - 1));
    }
    for part in &parts {
        let digits = part.as_bytes();
        match digits {
            [] => return wrong("empty item".to_owned()),
            [one, other, ..] if one.is_ascii_hexdigit() && other.is_ascii_hexdigit() => {}
            _ => return wrong(format!("{part} not hexa byte")),
        }
    }
    let mut twister = Twister::from_seed(call.given(0));
    // Ten hexadecimal digits, the first of them no zero.
    let number = twister.below((1 << 40) - (1 << 36)) + (1 << 36);
    let digits = format!("{number:010x}");
    let further = (0..PARTS - parts.len()).map(|index| digits[index * 2..index * 2 + 2].to_owned());
    Ok(Val::from(parts.iter().map(|part| (*part).to_owned()).chain(further).collect::<Vec<_>>().join(":")))
}

fn shuffle(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut twister = Twister::from_seed(call.given(0));
    // What has no order stays as it is.
    let Ok(mut items) = call.items() else { return call.deep_input() };
    for last in (1..items.len()).rev() {
        let chosen = twister.below(u64::try_from(last + 1).unwrap_or(1));
        items.swap(last, usize::try_from(chosen).unwrap_or(0));
    }
    Ok(Val::list(items))
}
