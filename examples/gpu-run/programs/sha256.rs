//! uses: arrays, slices, rotate, big-endian words
//! args: abc
//! args: "a text of more than sixty-four bytes, so that it takes two blocks of the hash"
fn roots(power: impl Fn(f64) -> f64, count: usize) -> Vec<u32> {
    let primes = (2u32..).filter(|n| (2..*n).all(|d| n % d != 0));
    primes.take(count).map(|prime| (power(f64::from(prime)).fract() * 4_294_967_296.0) as u32).collect()
}

fn cube_root(x: f64) -> f64 {
    (0..60).fold(x, |root, _| root - (root * root * root - x) / (3.0 * root * root))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let constants = roots(cube_root, 64);
    let mut state = roots(f64::sqrt, 8);
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 } - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w: Vec<u32> = block.chunks_exact(4).map(|four| u32::from_be_bytes(four.try_into().unwrap())).collect();
        for i in 16..64 {
            let (a, b) = (w[i - 15], w[i - 2]);
            let first = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let second = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[i - 16].wrapping_add(first).wrapping_add(w[i - 7]).wrapping_add(second));
        }
        let mut s = state.clone();
        for i in 0..64 {
            let e = s[4].rotate_right(6) ^ s[4].rotate_right(11) ^ s[4].rotate_right(25);
            let choice = (s[4] & s[5]) ^ (!s[4] & s[6]);
            let one = [s[7], e, choice, constants[i], w[i]].iter().fold(0u32, |a, b| a.wrapping_add(*b));
            let a = s[0].rotate_right(2) ^ s[0].rotate_right(13) ^ s[0].rotate_right(22);
            let two = a.wrapping_add((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            s.rotate_right(1);
            s[0] = one.wrapping_add(two);
            s[4] = s[4].wrapping_add(one);
        }
        state.iter_mut().zip(s).for_each(|(a, b)| *a = a.wrapping_add(b));
    }
    let mut digest = [0; 32];
    digest.chunks_exact_mut(4).zip(state).for_each(|(four, word)| four.copy_from_slice(&word.to_be_bytes()));
    digest
}

fn main() {
    let text = std::env::args().nth(1).unwrap_or_default();
    println!("{}", sha256(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}
