//! uses: parse, from_str_radix, ParseIntError, checked, wrapping and saturating arithmetic, u128
//! args: 255 -129 ff 99999999999 x
fn main() {
    for text in std::env::args().skip(1) {
        match text.parse::<i32>() {
            Ok(number) => println!(
                "{number}: {:?} {:?} {} {}",
                number.checked_mul(100_000_000),
                u8::try_from(number).ok(),
                (number as i8).wrapping_neg(),
                number.saturating_add(i32::MAX)
            ),
            Err(error) => println!("{text}: {error} ({:?})", error.kind()),
        }
        println!("  in base 16: {:?}", u64::from_str_radix(&text, 16).ok());
    }
    let big = u128::MAX / 3;
    println!("{big} {:x} {} {}", big, big.leading_zeros(), (big % 1_000_000_007) as u64);
    println!("{:?} {:?} {}", 7u32.checked_sub(9), i64::MIN.overflowing_sub(1), 0x1234u16.rotate_left(4));
    println!("{} {} {}", (-7i32).rem_euclid(3), -7 / 2, (-7i32).div_euclid(2));
}
