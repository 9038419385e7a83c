//! uses: Instant, SystemTime, Duration
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let begin = Instant::now();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    println!("after 2020: {}", now > Duration::from_secs(1_577_836_800));
    let mut sum = 0u32;
    for i in 0..1000u32 {
        sum = sum.wrapping_add(i * i);
    }
    println!("{sum} time goes on: {}", Instant::now() >= begin && begin.elapsed() < Duration::from_secs(3600));
    let some = Duration::from_millis(90_061_001);
    println!("{} h {} ms {:?}", some.as_secs() / 3600, some.subsec_millis(), some.checked_sub(Duration::MAX));
    println!("{:?} {:?}", Duration::from_micros(1500), Duration::new(5, 30) * 2);
}
