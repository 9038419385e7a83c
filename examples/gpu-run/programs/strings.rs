//! uses: split, trim, replace, find, rsplit_once, char_indices, String as a buffer
//! args: "  key = some value; other=2 ;broken  "
//! args: "a=b"
fn main() {
    let text = std::env::args().nth(1).unwrap_or_default();
    for part in text.trim().split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((key, value)) => println!("[{}] -> [{}]", key.trim_end(), value.trim_start()),
            None => println!("no '=' in {part}"),
        }
    }
    let mut backwards = String::with_capacity(text.len());
    backwards.extend(text.chars().rev());
    println!("{backwards}|{}|{:?}", text.replace(' ', "_"), text.find("val"));
    let vowels = text.char_indices().filter(|(_, c)| "aeiou".contains(*c)).map(|(at, _)| at.to_string());
    println!("{}", vowels.collect::<Vec<_>>().join(","));
    println!("{:?} {}", text.rsplit_once('o'), text.starts_with("  k"));
}
