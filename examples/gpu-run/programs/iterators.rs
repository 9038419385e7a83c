//! uses: map, filter, fold, zip, windows, chunks, scan, flat_map, peekable, an Iterator of its own
//! args: 12
//! args: 25
struct Collatz(u64);

impl Iterator for Collatz {
    type Item = u64;
    fn next(&mut self) -> Option<u64> {
        let now = self.0;
        (now != 0).then(|| {
            self.0 = match now {
                1 => 0,
                _ if now % 2 == 0 => now / 2,
                _ => 3 * now + 1,
            };
            now
        })
    }
}

fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let steps: Vec<u64> = Collatz(n).collect();
    println!("{} steps, highest {:?}", steps.len(), steps.iter().max());
    println!("{}", steps.windows(2).filter(|pair| pair[0] < pair[1]).count());
    println!("{:?}", steps.chunks(4).map(|part| part.iter().sum::<u64>()).collect::<Vec<_>>());
    println!("{:?}", (1..=n).scan(1u64, |product, i| { *product = product.wrapping_mul(i); Some(*product) }).last());
    println!("{:?}", (1..4).flat_map(|i| (0..i).map(move |j| i * 10 + j)).rev().collect::<Vec<_>>());
    println!("{}", steps.iter().zip(steps.iter().skip(1)).map(|(a, b)| a.abs_diff(*b)).fold(0, |a, b| a ^ b));
    let mut runs = steps.iter().map(|step| step % 2).peekable();
    while let Some(kind) = runs.next() {
        let mut length = 1;
        while runs.next_if_eq(&kind).is_some() {
            length += 1;
        }
        print!("{}{length} ", if kind == 0 { 'e' } else { 'o' });
    }
    println!("{:?}", steps.iter().position(|step| *step == 4));
}
