//! uses: match on slices, ranges, guards, bindings, nested enums, let else, while let
//! args: 1 2 3
//! args: 42
//! args: 7 x 7
fn describe(words: &[&str]) -> String {
    match words {
        [] => "nothing".into(),
        [one] => match one.parse::<u32>() {
            Ok(n @ 0..=9) => format!("a digit, {n}"),
            Ok(n) if n % 2 == 0 => format!("even, {n}"),
            Ok(_) => "odd".into(),
            Err(_) => "a word".into(),
        },
        [first, .., last] if first == last => format!("from {first} to itself"),
        [first, middle @ .., last] => format!("{first} .. {last} with {} between", middle.len()),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let all: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut rest = all.as_slice();
    println!("{}", describe(rest));
    while let [first, after @ ..] = rest {
        let Ok(number) = first.parse::<i8>() else {
            println!("{first} is no number");
            break;
        };
        let size = match number {
            i8::MIN..=-1 => "negative",
            0 => "zero",
            1 | 2 | 3 => "small",
            _ => "large",
        };
        println!("{number} is {size}, then {}", describe(after));
        rest = after;
    }
}
