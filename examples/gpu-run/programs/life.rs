//! uses: a simulation on Vec<bool>, wrapping neighbours, text as a picture
//! args: 1
//! args: 12
fn main() {
    let rounds: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let (w, h) = (12usize, 8usize);
    let mut cells = vec![false; w * h];
    for (x, y) in [(1, 0), (2, 1), (0, 2), (1, 2), (2, 2), (7, 4), (8, 4), (9, 4)] {
        cells[y * w + x] = true;
    }
    for _ in 0..rounds {
        cells = (0..w * h)
            .map(|at| {
                let (x, y) = (at % w, at / w);
                let near = (0..9).filter(|i| *i != 4 && cells[(y + i / 3 + h - 1) % h * w + (x + i % 3 + w - 1) % w]);
                matches!((near.count(), cells[at]), (3, _) | (2, true))
            })
            .collect();
    }
    for row in cells.chunks(w) {
        println!("{}", row.iter().map(|alive| if *alive { '#' } else { '.' }).collect::<String>());
    }
}
