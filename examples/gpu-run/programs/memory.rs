//! uses: memory that grows, Vec of 256 KiB, try_reserve that must fail, Box of a slice
//! args: 1000
//! args: 65536
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut numbers = Vec::new();
    for i in 0..n as u32 {
        numbers.push(i ^ 0x5555);
    }
    println!("{} {}", numbers.len(), numbers.iter().fold(0u32, |a, b| a.rotate_left(1) ^ b));
    let boxed: Box<[u32]> = numbers.into_boxed_slice();
    println!("{:?}", boxed.last());
    let mut huge: Vec<u8> = Vec::new();
    println!("{}", huge.try_reserve(1 << 31).is_err());
    huge.resize(10, 1);
    println!("{huge:?}");
}
