//! uses: functions that call themselves, directly and through one another
//! args: 6
//! args: 9
fn fib(n: u32) -> u32 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

fn is_even(n: u32) -> bool {
    n == 0 || is_odd(n - 1)
}

fn is_odd(n: u32) -> bool {
    n != 0 && is_even(n - 1)
}

fn permutations(rest: &mut Vec<char>, from: usize, found: &mut Vec<String>) {
    if from == rest.len() {
        found.push(rest.iter().collect());
    }
    for i in from..rest.len() {
        rest.swap(from, i);
        permutations(rest, from + 1, found);
        rest.swap(from, i);
    }
}

fn main() {
    let n: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    println!("{} {} {}", fib(n), ackermann(2, n.into()), is_even(n));
    let mut found = Vec::new();
    permutations(&mut "abcd".chars().collect(), 0, &mut found);
    println!("{} {} {}", found.len(), found[0], found[23]);
}
