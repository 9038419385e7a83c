//! uses: f32 and f64: printing, parsing, rounding, sqrt, special values
//! args: 2.5
//! args: 1e300
//! args: -0.1
//! args: nonsense
fn main() {
    let text = std::env::args().nth(1).unwrap();
    let x: f64 = match text.parse() {
        Ok(x) => x,
        Err(error) => return println!("{text}: {error}"),
    };
    println!("{x} {x:?} {x:.3} {x:e} {x:10.2}|");
    println!("{} {} {} {} {}", x.floor(), x.ceil(), x.round(), x.trunc(), x.fract().abs() < 1.0);
    println!("{:.6} {:?} {:?}", x.abs().sqrt(), x.powi(2), (x as f32) * 3.0);
    println!("{} {} {}", x as i32, x as u8, (x * x) as i64);
    println!("{:?} {:?} {} {:?}", 1.0 / 0.0 * x, f64::NAN.max(x), f64::NAN.is_nan(), x.total_cmp(&1.0));
    println!("{:#x} {} {:?}", x.to_bits(), f64::MAX, f32::MIN_POSITIVE);
}
