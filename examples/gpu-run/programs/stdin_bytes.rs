//! uses: read_to_end, bytes, chunks as a hex dump
//! stdin: bytes\tand \x00\xff\x80 more than sixteen
use std::io::Read;

fn main() {
    let mut bytes = Vec::new();
    let count = std::io::stdin().read_to_end(&mut bytes).unwrap();
    for (row, part) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = part.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '.' }).collect();
        println!("{:04x} {:47} {text}", row * 16, hex.join(" "));
    }
    println!("{count} bytes");
}
