//! uses: Seek, SeekFrom, read_exact, stream_position
//! args: 4 5
//! args: 100 5
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

fn main() -> std::io::Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let mut file = File::open("/fox.txt")?;
    file.seek(SeekFrom::Start(numbers[0]))?;
    let mut part = vec![0; numbers[1] as usize];
    match file.read_exact(&mut part) {
        Ok(()) => println!("{}", String::from_utf8_lossy(&part)),
        Err(error) => println!("{:?}", error.kind()),
    }
    println!("{}", file.stream_position()?);
    println!("{}", file.seek(SeekFrom::End(-8))?);
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    println!("{rest:?} {:?}", file.seek(SeekFrom::Current(-1000)).map_err(|e| e.kind()));
    Ok(())
}
