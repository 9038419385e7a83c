//! uses: HashMap, String, fs::read_to_string, arguments, process::exit
//! args: fox.txt
//! args: "b a b c b"
//! args: "one two two"
//! args:
use std::collections::HashMap;
use std::{env, fs, process};

fn main() {
    let Some(given) = env::args().nth(1) else {
        eprintln!("usage: count TEXT-OR-FILE");
        process::exit(2);
    };
    let text = fs::read_to_string(&given).unwrap_or(given);
    let mut counts: HashMap<String, u32> = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for (word, count) in rows {
        println!("{count} {word}");
    }
}
