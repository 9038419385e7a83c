//! uses: a sieve, step_by, u64 powers modulo a prime, a compute-bound loop
//! args: 100
//! args: 5000
fn power(mut base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    result
}

fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut composite = vec![false; n + 1];
    let mut primes = Vec::new();
    for i in 2..=n {
        if !composite[i] {
            primes.push(i as u64);
            (i * i..=n).step_by(i).for_each(|j| composite[j] = true);
        }
    }
    println!("{} primes, last {:?}", primes.len(), primes.last());
    println!("{}", primes[1..].iter().all(|prime| power(2, prime - 1, *prime) == 1));
    println!("{}", primes.windows(2).filter(|pair| pair[1] - pair[0] == 2).count());
}
