//! Functions for Python: `px.wasm("mining.wasm").call("discriminate", px.Slice(samples), 2.0)`.
//!
//! A slice is a pointer and a length. Its memory comes from `alloc`, which the caller finds by its name.
use std::alloc::Layout;
use std::slice;

#[no_mangle]
pub extern "C" fn alloc(bytes: usize, align: usize) -> *mut u8 {
    match Layout::from_size_align(bytes.max(1), align) {
        Ok(layout) => unsafe { std::alloc::alloc(layout) },
        Err(_) => std::ptr::null_mut(),
    }
}

/// # Safety
/// `pointer` came from `alloc` with the same numbers.
#[no_mangle]
pub unsafe extern "C" fn dealloc(pointer: *mut u8, bytes: usize, align: usize) {
    std::alloc::dealloc(pointer, Layout::from_size_align_unchecked(bytes.max(1), align));
}

/// How many samples are further from the mean than `factor` standard deviations.
///
/// # Safety
/// There are `count` samples.
#[no_mangle]
pub unsafe extern "C" fn discriminate(samples: *const f32, count: usize, factor: f32) -> u32 {
    let samples = slice::from_raw_parts(samples, count);
    let mean = samples.iter().sum::<f32>() / count as f32;
    let spread = samples.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count as f32;
    samples.iter().filter(|x| (**x - mean).abs() > factor * spread.sqrt()).count() as u32
}

/// Sort in place.
///
/// # Safety
/// There are `count` samples.
#[no_mangle]
pub unsafe extern "C" fn sort(samples: *mut f32, count: usize) {
    slice::from_raw_parts_mut(samples, count).sort_unstable_by(f32::total_cmp);
}

#[repr(C)]
pub struct Found {
    pointer: *const u32,
    count: usize,
}

/// Where samples are above `least`: a slice of their indexes, which the caller may keep.
///
/// # Safety
/// There are `count` samples.
#[no_mangle]
pub unsafe extern "C" fn peaks(samples: *const f32, count: usize, least: f32) -> Found {
    let samples = slice::from_raw_parts(samples, count);
    let found: Vec<u32> = (0..count as u32).filter(|i| samples[*i as usize] > least).collect();
    let found: &'static [u32] = found.leak();
    Found { pointer: found.as_ptr(), count: found.len() }
}
