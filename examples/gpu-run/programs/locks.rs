//! uses: Arc, Mutex, RwLock, atomics, OnceLock, thread_local, mpsc, in one thread
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex, OnceLock, RwLock};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
thread_local!(static MINE: Cell<i32> = const { Cell::new(5) });

fn table() -> &'static [u32] {
    TABLE.get_or_init(|| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        (0..5).map(|i| i * i).collect()
    })
}

fn main() {
    let shared = Arc::new(Mutex::new(vec![1]));
    let other = Arc::clone(&shared);
    other.lock().unwrap().push(2);
    println!("{:?} {}", shared.lock().unwrap(), Arc::strong_count(&shared));
    let held = shared.lock().unwrap();
    println!("{}", shared.try_lock().is_err());
    drop(held);
    let lock = RwLock::new(1);
    *lock.write().unwrap() += 1;
    println!("{} {}", lock.read().unwrap(), lock.try_write().is_ok());
    println!("{} {} {}", table()[3], table().len(), CALLS.load(Ordering::Relaxed));
    let number = AtomicI64::new(7);
    println!("{:?} {:?}", number.compare_exchange(7, 9, Ordering::AcqRel, Ordering::Acquire), number.swap(1, Ordering::SeqCst));
    MINE.with(|cell| cell.set(cell.get() + 1));
    println!("{}", MINE.get());
    let (sender, receiver) = mpsc::channel();
    (0..3).for_each(|i| sender.send(i * 10).unwrap());
    drop(sender);
    println!("{:?}", receiver.iter().collect::<Vec<_>>());
}
