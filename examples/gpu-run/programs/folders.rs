//! uses: create_dir_all, read_dir, rename, remove_dir, remove_file
//! args: one
//! args: two
use std::fs;
use std::io::Result;

fn names(folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let mark = if entry.file_type()?.is_dir() { "/" } else { "" };
        found.push(format!("{}{mark}", entry.file_name().to_string_lossy()));
    }
    found.sort();
    Ok(found)
}

fn main() -> Result<()> {
    let base = format!("/{}", std::env::args().nth(1).unwrap());
    fs::create_dir_all(format!("{base}/a/b"))?;
    for i in 0..12 {
        fs::write(format!("{base}/file-{i}"), i.to_string())?;
    }
    fs::rename(format!("{base}/file-3"), format!("{base}/a/moved"))?;
    println!("{:?}\n{:?}", names(&base)?, names(&format!("{base}/a"))?);
    println!("{:?}", fs::remove_dir(format!("{base}/a")).map_err(|e| e.kind()));
    fs::remove_dir(format!("{base}/a/b"))?;
    fs::remove_file(format!("{base}/a/moved"))?;
    fs::remove_dir(format!("{base}/a"))?;
    for name in names(&base)? {
        fs::remove_file(format!("{base}/{name}"))?;
    }
    fs::remove_dir(&base)?;
    println!("{}", fs::metadata(&base).is_err());
    Ok(())
}
