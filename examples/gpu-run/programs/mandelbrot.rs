//! uses: f64 arithmetic, a loop with an early end, a picture in letters
//! args: 20
//! args: 60
fn main() {
    let most: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    for row in 0..11 {
        let line: String = (0..40)
            .map(|column| {
                let (cx, cy) = (f64::from(column) / 15.0 - 2.0, f64::from(row) / 5.0 - 1.0);
                let (mut x, mut y, mut steps) = (0.0, 0.0, 0);
                while x * x + y * y <= 4.0 && steps < most {
                    (x, y, steps) = (x * x - y * y + cx, 2.0 * x * y + cy, steps + 1);
                }
                char::from(b" .:-=+*#%@"[steps * 9 / most])
            })
            .collect();
        println!("{}", line.trim_end());
    }
}
