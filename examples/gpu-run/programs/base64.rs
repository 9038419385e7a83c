//! uses: bytes, shifts, lookup tables, chunks, Result of collect
//! args: encode "any text, 1"
//! args: decode "YW55IHRleHQsIDE="
//! args: decode "a*b"
const TABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for i in 0..4 {
            text.push(if i > part.len() { '=' } else { TABLE[(word >> (18 - 6 * i) & 63) as usize] as char });
        }
    }
    text
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text
        .trim_end_matches('=')
        .bytes()
        .map(|byte| TABLE.iter().position(|c| *c == byte).map(|at| at as u32).ok_or(format!("{:?} is no digit", byte as char)))
        .collect::<Result<_, _>>()?;
    let mut bytes = Vec::new();
    for part in digits.chunks(4) {
        let word = part.iter().fold(0, |word, digit| word << 6 | digit) << (6 * (4 - part.len()));
        bytes.extend(&word.to_be_bytes()[1..part.len()]);
    }
    Ok(bytes)
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words[1] == "encode" {
        println!("{}", encode(words[2].as_bytes()));
    } else {
        println!("{:?}", decode(&words[2]).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    }
}
