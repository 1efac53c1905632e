//! Decodes the browser's pictures, which arrive in Base64.

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for value in text.bytes().filter_map(value) {
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_was_written_in_base64_is_read() {
        for (text, bytes) in [("", ""), ("Zw==", "g"), ("Z28=", "go"), ("Z29v", "goo"), ("Z29vZGJ5ZQ==", "goodbye")] {
            assert_eq!(decoded(text), bytes.as_bytes());
        }
        assert_eq!(decoded("+/+/"), [0xfb, 0xff, 0xbf]);
    }
}
