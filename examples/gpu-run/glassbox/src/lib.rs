//! What a program on lanes can ask for. Needs neither std nor an allocator.
//!
//! `lane`, `lanes`, `sin` and `cos` are instructions of the device. Everything else is served by the host, for all lanes that wait at once, so
//! that a call costs a round: ask for much at once.
#![no_std]

mod imports {
    #[link(wasm_import_module = "glassbox")]
    extern "C" {
        pub fn lane() -> u32;
        pub fn lanes() -> u32;
        pub fn sin(x: f32) -> f32;
        pub fn cos(x: f32) -> f32;
        pub fn barrier();
        pub fn time() -> i64;
        pub fn size(array: u32) -> i32;
        pub fn read(array: u32, offset: u32, to: *mut u8, bytes: u32) -> i32;
        pub fn write(array: u32, offset: u32, from: *const u8, bytes: u32) -> i32;
        pub fn atomic(kind: u32, place: u32, value: i64) -> i64;
        pub fn compare_exchange(place: u32, wanted: i64, value: i64) -> i64;
        pub fn set_pixel(x: i32, y: i32, rgba: u32);
        #[cfg(feature = "records")]
        pub fn record(kind: u32, text: *const u8, bytes: u32, bits: i64);
    }
}

/// The number of this lane, from 0.
pub fn lane() -> u32 {
    unsafe { imports::lane() }
}

/// How many lanes there are.
pub fn lanes() -> u32 {
    unsafe { imports::lanes() }
}

/// Sine of radians: at most 1 unit in the last place off on a CPU, at most 2^-11 off in [-pi, pi] on a GPU.
pub fn sin(x: f32) -> f32 {
    unsafe { imports::sin(x) }
}

/// Cosine of radians, with the bounds of `sin`.
pub fn cos(x: f32) -> f32 {
    unsafe { imports::cos(x) }
}

/// Square root, correctly rounded: the instruction of WebAssembly.
pub fn sqrt(x: f32) -> f32 {
    // Newton's steps in f64 end within half a unit of f32 for every x.
    if !(x > 0.0) || x == f32::INFINITY {
        return if x == 0.0 || x == f32::INFINITY { x } else { f32::NAN };
    }
    let x = x as f64;
    let mut root = f64::from_bits((x.to_bits() >> 1) + 0x1ff8_0000_0000_0000);
    for _ in 0..4 {
        root = 0.5 * (root + x / root);
    }
    root as f32
}

/// Wait until every lane that lives has come here or ended.
pub fn barrier() {
    unsafe { imports::barrier() }
}

/// Nanoseconds since the run began, the same for all lanes of a round.
pub fn time() -> i64 {
    unsafe { imports::time() }
}

/// Types that have no padding, and are whole with any bits.
///
/// # Safety
/// Every pattern of bits is a value.
pub unsafe trait Plain: Copy {}
macro_rules! plain {
    ($($kind:ty)*) => { $(unsafe impl Plain for $kind {})* };
}
plain!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

/// An array of the host: of one dimension all lanes', of two a row for each lane.
pub struct Array(pub u32);

impl Array {
    /// Bytes that this lane sees; None where there is no such array.
    pub fn bytes(&self) -> Option<usize> {
        usize::try_from(unsafe { imports::size(self.0) }).ok()
    }

    /// Copy elements from place `at` on into `to`; gives how many there were, None where there is no such array or place.
    pub fn read<T: Plain>(&self, at: usize, to: &mut [T]) -> Option<usize> {
        let each = core::mem::size_of::<T>();
        let done = unsafe { imports::read(self.0, (at * each) as u32, to.as_mut_ptr().cast(), (to.len() * each) as u32) };
        usize::try_from(done).ok().map(|bytes| bytes / each)
    }

    /// Copy elements to place `at` and on; as `read`.
    pub fn write<T: Plain>(&self, at: usize, from: &[T]) -> Option<usize> {
        let each = core::mem::size_of::<T>();
        let done = unsafe { imports::write(self.0, (at * each) as u32, from.as_ptr().cast(), (from.len() * each) as u32) };
        usize::try_from(done).ok().map(|bytes| bytes / each)
    }
}

/// A number that all lanes share, by its place. Each operation gives the value before it.
pub struct Shared(pub u32);

impl Shared {
    pub fn load(&self) -> i64 {
        self.add(0)
    }
    pub fn add(&self, value: i64) -> i64 {
        unsafe { imports::atomic(0, self.0, value) }
    }
    pub fn min(&self, value: i64) -> i64 {
        unsafe { imports::atomic(1, self.0, value) }
    }
    pub fn max(&self, value: i64) -> i64 {
        unsafe { imports::atomic(2, self.0, value) }
    }
    pub fn and(&self, value: i64) -> i64 {
        unsafe { imports::atomic(3, self.0, value) }
    }
    pub fn or(&self, value: i64) -> i64 {
        unsafe { imports::atomic(4, self.0, value) }
    }
    pub fn xor(&self, value: i64) -> i64 {
        unsafe { imports::atomic(5, self.0, value) }
    }
    pub fn exchange(&self, value: i64) -> i64 {
        unsafe { imports::atomic(6, self.0, value) }
    }
    pub fn compare_exchange(&self, wanted: i64, value: i64) -> i64 {
        unsafe { imports::compare_exchange(self.0, wanted, value) }
    }
}

/// Set a pixel of the host's picture, red in the lowest byte; outside of it nothing happens.
pub fn set_pixel(x: i32, y: i32, rgba: u32) {
    unsafe { imports::set_pixel(x, y, rgba) }
}

/// Values that a record holds.
pub trait Recorded {
    /// The kind of the value (1 signed, 2 unsigned, 3 floating) and its bits.
    fn bits(&self) -> (u32, i64);
}
macro_rules! recorded {
    ($kind:literal, $as:ty: $($type:ty)*) => { $(impl Recorded for $type {
        fn bits(&self) -> (u32, i64) {
            ($kind, i64::from_le_bytes((*self as $as).to_le_bytes()))
        }
    })* };
}
recorded!(1, i64: i8 i16 i32 i64 isize);
recorded!(2, u64: u8 u16 u32 u64 usize bool);
recorded!(3, f64: f32 f64);

#[doc(hidden)]
#[cfg(feature = "records")]
pub fn record(kind: u32, text: &str, bits: i64) {
    unsafe { imports::record(kind, text.as_ptr(), text.len() as u32, bits) }
}

/// A text of at most 256 bytes, which `gpu_println!` writes into.
#[doc(hidden)]
#[cfg(feature = "records")]
pub struct Line(pub [u8; 256], pub usize);

#[cfg(feature = "records")]
impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let part = &text.as_bytes()[..text.len().min(self.0.len() - self.1)];
        self.0[self.1..self.1 + part.len()].copy_from_slice(part);
        self.1 += part.len();
        Ok(())
    }
}

#[doc(hidden)]
#[cfg(feature = "records")]
pub fn print(line: core::fmt::Arguments) {
    let mut text = Line([0; 256], 0);
    let _ = core::fmt::Write::write_fmt(&mut text, line);
    unsafe { imports::record(0, text.0.as_ptr(), text.1 as u32, 0) }
}

/// A record with a text, as `println!` formats it; no code without the feature `records`.
#[macro_export]
#[cfg(feature = "records")]
macro_rules! gpu_println {
    ($($word:tt)*) => { $crate::print(core::format_args!($($word)*)) };
}
#[macro_export]
#[cfg(not(feature = "records"))]
macro_rules! gpu_println {
    ($($word:tt)*) => {
        if false {
            let _ = core::format_args!($($word)*);
        }
    };
}

/// A record with a number and the words that stand for it; gives the number.
#[macro_export]
#[cfg(feature = "records")]
macro_rules! gpu_dbg {
    ($value:expr) => {{
        let found = $value;
        let (kind, bits) = $crate::Recorded::bits(&found);
        $crate::record(kind, core::stringify!($value), bits);
        found
    }};
}
#[macro_export]
#[cfg(not(feature = "records"))]
macro_rules! gpu_dbg {
    ($value:expr) => {
        $value
    };
}
