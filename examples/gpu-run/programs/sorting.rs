//! uses: sort, sort_by_key, sort_unstable_by, binary_search, dedup, retain, drain, partition_point
//! args: 5 3 9 1 5 7 3
//! args: 100 -4 0
fn main() {
    let mut numbers: Vec<i64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let original = numbers.clone();
    numbers.sort();
    println!("{numbers:?} {:?} {:?}", numbers.binary_search(&5), numbers.binary_search(&4));
    numbers.dedup();
    numbers.sort_by_key(|number| (number % 3, -number));
    println!("{numbers:?}");
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    println!("{numbers:?} {}", numbers.partition_point(|number| *number > 4));
    numbers.retain(|number| number % 2 == 1);
    println!("{numbers:?} {:?}", numbers.drain(..numbers.len() / 2).collect::<Vec<_>>());
    let mut many: Vec<u32> = (0..500u32).map(|i| i.wrapping_mul(2_654_435_761) >> 20).collect();
    many.sort_unstable();
    println!("{} {} {}", many[0], many[250], many.windows(2).all(|pair| pair[0] <= pair[1]));
    let mut words: Vec<String> = original.iter().map(|number| format!("w{number}")).collect();
    words.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| b.cmp(a)));
    println!("{}", words.join(" "));
}
