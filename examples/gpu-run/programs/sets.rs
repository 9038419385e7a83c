//! uses: HashSet, RandomState, union, retain
//! args: "to be or not to be" "that is the question to ask"
use std::collections::HashSet;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let sets: Vec<HashSet<&str>> = given.iter().map(|text| text.split(' ').collect()).collect();
    let mut all: HashSet<&str> = sets.iter().flatten().copied().collect();
    println!("{} words in all", all.len());
    all.retain(|word| sets.iter().all(|set| set.contains(word)));
    let mut common: Vec<_> = all.into_iter().collect();
    common.sort_unstable();
    println!("in every text: {}", common.join(", "));
}
