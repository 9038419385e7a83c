//! uses: UTF-8, chars, bytes, upper and lower case, from_utf8, lossy
//! args: "Grüße, Ωmega, 数字, ß"
fn main() {
    let text = std::env::args().nth(1).unwrap_or_else(|| "ñandú 🦀".to_string());
    println!("{} bytes, {} characters", text.len(), text.chars().count());
    println!("{} {}", text.to_uppercase(), text.to_lowercase());
    for c in text.chars().filter(|c| !c.is_ascii()).take(4) {
        println!("{c} U+{:04X} {} bytes, alphabetic {}", c as u32, c.len_utf8(), c.is_alphabetic());
    }
    println!("{}", text.escape_unicode().take(24).collect::<String>());
    let mut bytes = text.into_bytes();
    bytes.truncate(3);
    println!("{:?} {}", std::str::from_utf8(&bytes).map_err(|e| e.valid_up_to()), String::from_utf8_lossy(&bytes));
}
