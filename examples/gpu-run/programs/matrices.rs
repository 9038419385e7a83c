//! uses: const generics, arrays of arrays, f64, operators
//! args: 3
//! args: 8
use std::ops::Mul;

#[derive(Clone, Copy)]
struct Matrix<const N: usize>([[f64; N]; N]);

impl<const N: usize> Mul for Matrix<N> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let mut product = [[0.0; N]; N];
        for (i, row) in product.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate() {
                *cell = (0..N).map(|k| self.0[i][k] * other.0[k][j]).sum();
            }
        }
        Matrix(product)
    }
}

fn main() {
    let times: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let base = Matrix([[0.5, 0.25, 0.0], [0.25, 0.5, 1.0], [1.0, 0.0, 0.5]]);
    let found = (0..times).fold(base, |power, _| power * base);
    for row in found.0 {
        println!("{:?}", row.map(|cell| (cell * 1000.0).round() / 1000.0));
    }
}
