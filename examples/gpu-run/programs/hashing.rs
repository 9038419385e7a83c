//! uses: Hash, Hasher, BuildHasher, DefaultHasher with fixed keys, a hasher of its own
//! args: alpha
//! args: beta
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[derive(Hash, PartialEq, Eq)]
struct Key {
    name: String,
    numbers: [u16; 2],
}

fn main() {
    let name = std::env::args().nth(1).unwrap();
    let key = Key { name, numbers: [1, 2] };
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    println!("{:016x}", hasher.finish());
    let mut map: HashMap<Key, i32, BuildHasherDefault<Fnv>> = HashMap::default();
    println!("{:016x}", map.hasher().hash_one(&key));
    map.insert(key, 7);
    println!("{:?}", map.values().collect::<Vec<_>>());
    let random = RandomState::new();
    println!("{}", random.hash_one(5) == random.hash_one(5));
}
