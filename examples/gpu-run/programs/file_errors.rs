//! uses: ErrorKind of what must fail: no file, a way out of the folder, a folder as a file
use std::fs;

fn main() {
    for path in ["/none", "/../../etc/passwd", "/fox.txt/below", "fox.txt"] {
        match fs::read(path) {
            Ok(bytes) => println!("{path}: {} bytes", bytes.len()),
            Err(error) => println!("{path}: {:?}", error.kind()),
        }
    }
    println!("{:?}", fs::read_dir("/fox.txt").map(|_| ()).map_err(|e| e.kind()));
    println!("{:?}", fs::create_dir("/").map_err(|e| e.kind()));
    println!("{:?}", fs::remove_file("/none").map_err(|e| e.raw_os_error()));
}
