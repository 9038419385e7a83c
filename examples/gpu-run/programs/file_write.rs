//! uses: fs::write, OpenOptions, append, truncate, set_len, copy, remove_file
//! args: first
//! args: second
use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write};

fn main() -> Result<()> {
    let word = std::env::args().nth(1).unwrap();
    let (name, copy) = (format!("/{word}.out"), format!("/{word}.copy"));
    fs::write(&name, format!("{word}\n"))?;
    let mut file = OpenOptions::new().append(true).open(&name)?;
    writeln!(file, "appended")?;
    drop(file);
    println!("{:?}", fs::read_to_string(&name)?);
    println!("{:?}", OpenOptions::new().write(true).create_new(true).open(&name).map_err(|e| e.kind()).err());
    println!("copied {}", fs::copy(&name, &copy)?);
    File::options().write(true).open(&name)?.set_len(4)?;
    println!("{:?} {}", fs::read(&name)?, fs::metadata(&name)?.len());
    fs::remove_file(&copy)?;
    println!("{}", fs::metadata(&copy).is_err());
    Ok(())
}
