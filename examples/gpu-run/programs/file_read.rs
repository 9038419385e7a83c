//! uses: File, BufReader, lines, metadata, Path
//! args: fox.txt
//! args: numbers.txt
//! args: missing.txt
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

fn main() {
    let name = std::env::args().nth(1).unwrap();
    let path = Path::new("/").join(&name);
    println!("{:?} {:?} exists {}", path.extension(), path.file_stem(), path.exists());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return println!("{:?}: {error}", error.kind()),
    };
    let data = file.metadata().unwrap();
    println!("{} bytes, file {}, folder {}", data.len(), data.is_file(), data.is_dir());
    for (number, line) in BufReader::new(file).lines().enumerate() {
        println!("{number:2} {}", line.unwrap());
    }
}
