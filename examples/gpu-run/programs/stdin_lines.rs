//! uses: stdin().lines(), a locked and buffered stdout, flush
//! stdin: 3 4\n10\n\nx 5\n
use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut total = 0;
    for (number, line) in io::stdin().lines().enumerate() {
        let line = line?;
        let sum: i32 = line.split(' ').filter_map(|word| word.parse::<i32>().ok()).sum();
        writeln!(out, "{}: {line:?} = {sum}", number + 1)?;
        total += sum;
    }
    writeln!(out, "{total}")?;
    out.flush()
}
