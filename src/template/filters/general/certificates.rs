//! Serial numbers and PEM texts, as the collection `community.crypto` has them.

use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use crate::value::Text;

fn input_text(call: &Call<'_, '_>, expected: &str) -> Res<Text> {
    match &call.input {
        Val::Str(text) => Ok(text.clone()),
        other => Err(format!("{expected} <class '{}'>", other.kind()).into()),
    }
}

/// `11:22:33` as a number; what is more than a number holds is a text of digits.
pub(super) fn parse_serial(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Str(text) = &call.input else {
        let kind = call.input.kind();
        return Err(format!(
            "The input for the community.crypto.parse_serial filter must be a string; got <class '{kind}'> instead"
        )
        .into());
    };
    let mut bytes = Vec::new();
    for (index, part) in text.split(':').enumerate() {
        let reason = match u32::from_str_radix(part.trim(), 16) {
            Ok(number) if number <= 0xff => {
                bytes.push(number as u8);
                continue;
            }
            Ok(_) => "the value is not in range [0, 255]".to_owned(),
            Err(_) => format!("invalid literal for int() with base 16: '{part}'"),
        };
        let place = ordinal(index + 1);
        return Err(format!("The {place} part '{part}' is not a hexadecimal number in range [0, 255]: {reason}").into());
    }
    let small = bytes.iter().try_fold(0_i64, |number, byte| number.checked_mul(256)?.checked_add(i64::from(*byte)));
    Ok(small.map_or_else(|| Val::from(decimal(&bytes)), Val::Int))
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The digits of a number of many bytes, the first counting most.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let sum = *digit * 256 + carry;
            *digit = sum % 10;
            carry = sum / 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(u32::to_string).collect()
}

/// The bytes of a text of digits.
fn bytes_of_decimal(text: &str) -> Vec<u8> {
    let mut bytes = vec![0_u8];
    for digit in text.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut bytes {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.reverse();
    bytes
}

/// More digits than this are no serial number.
const DIGITS_MAX: usize = 1000;

/// A number as `11:22:33`, also one that only a text of digits holds.
pub(super) fn to_serial(call: &mut Call<'_, '_>) -> Res<Val> {
    let is_big = |text: &str| {
        text.len() <= DIGITS_MAX
            && text.bytes().all(|digit| digit.is_ascii_digit())
            && !text.is_empty()
            && text.parse::<i64>().is_err()
    };
    let bytes = match (&call.input, call.input.as_int()) {
        (_, Some(number)) => match u64::try_from(number) {
            Ok(number) => number.to_be_bytes().to_vec(),
            Err(_) => return Err("The input for the community.crypto.to_serial filter must not be negative".into()),
        },
        (Val::Str(text), _) if is_big(text) => bytes_of_decimal(text),
        (other, _) => {
            let kind = other.kind();
            return Err(format!(
                "The input for the community.crypto.to_serial filter must be an integer; got <class '{kind}'> instead"
            )
            .into());
        }
    };
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    Ok(Val::from(bytes[zeros..].iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")))
}

/// Every certificate, key or other block of a PEM text.
pub(super) fn split_pem(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = input_text(call, "The community.crypto.split_pem input must be a text type, not")?;
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    let plain = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in plain.split_inclusive('\n') {
        let starts = line.starts_with("-----BEGIN ");
        if starts {
            block = Some(String::new());
        }
        let Some(lines) = &mut block else { continue };
        if !line.trim().is_empty() {
            lines.push_str(line);
        }
        if !starts && line.starts_with("-----END ") {
            found.extend(block.take().map(|lines| Val::text_of(lines, text.is_secret())));
        }
    }
    Ok(Val::list(found))
}
