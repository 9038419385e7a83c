//! A wave as a picture, a lane a column; the highest point of all lanes, and its lane, in the shared numbers.
#![no_std]
use glassbox::{barrier, cos, gpu_dbg, gpu_println, lane, lanes, set_pixel, sin, sqrt, Array, Shared};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

#[no_mangle]
pub extern "C" fn run() -> u32 {
    let mut phase = [0f32];
    if Array(0).read(0, &mut phase) != Some(1) {
        gpu_println!("lane {} has no phase", lane());
        return 1;
    }
    let x = lane() as f32 * 6.0 / lanes() as f32 + phase[0];
    let y = sin(x) * sqrt(cos(x) * cos(x) + 1.0);
    let height = gpu_dbg!((y * 8.0) as i32);
    set_pixel(lane() as i32, 12 - height, 0xff00_80ff);
    Shared(0).max(height as i64);
    barrier();
    if Shared(0).load() == height as i64 {
        Shared(1).min(lane() as i64);
        gpu_println!("lane {} is as high as any", lane());
    }
    Array(1).write(lane() as usize, &[y]);
    0
}
