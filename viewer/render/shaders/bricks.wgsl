// Bytes of bricks: raw pages in curve order, read at any voxel by the state of the page and one table.
// viewer/render/pool.py writes the constants and bindings that stand before this (`PagePool.shader_code`).
//
// slots holds a word a page in x, y, z order: the page number, and its state from bit 24 (viewer/view/curve.py).
// The pyramid holds a byte for every 8, 64, 512 and 4096 voxels: bits 4-7 the largest of them / 16, rounded
// up; bits 0-3 how many of them are not zero: that number in the first level, in those above it the share in
// fifteenths, rounded up. So 0 says: nothing but zeros.

const PAGE_BITS = 24u;
const VOXEL_SHIFT = 4u - COARSENING;    // a page is 2^VOXEL_SHIFT voxels a side

fn table_place(at: vec3<i32>, order: u32) -> u32 {
    let place = vec3<u32>(at);
    return place.x | (place.y | place.z << order) << order;
}

fn page_of(slot: u32) -> u32 {
    return slot & ((1u << PAGE_BITS) - 1u);
}

// Offset in the page of the voxel (0 to 15 each) of a brick in a state: mirror, turn, look up.
fn offset_in_page(voxel: vec3<u32>, slot: u32) -> u32 {
    let state = slot >> PAGE_BITS;
    let mirrored = voxel ^ ((vec3(state, state >> 1u, state ^ state >> 1u) & vec3(1u)) * 15u);
    let turns = state >> 2u & 3u;
    let turned = select(select(mirrored, mirrored.yzx, turns == 1u), mirrored.zxy, turns == 2u);
    let place = select(turned, turned.xzy, (state >> 4u) == 1u);
    let index = place.x | place.y << 4u | place.z << 8u;
    return brick_table[index >> 3u][index >> 1u & 3u] >> (16u * (index & 1u)) & 0xffffu;
}

// The value of a voxel, each coordinate below 2^VOXEL_SHIFT.
fn voxel_value(slot: u32, voxel: vec3<u32>) -> u32 {
    let place = offset_in_page(voxel << vec3(COARSENING), slot) >> (3u * COARSENING);
    let page = page_of(slot);
    let first = (page & ((1u << POOL_SHIFT) - 1u)) << (12u - 3u * COARSENING);
    return pool_word(page >> POOL_SHIFT, (first + place) >> 2u) >> (8u * (place & 3u)) & 255u;
}

fn level_start(level: u32) -> u32 {
    return (1024u - (1024u >> (3u * level - 3u))) / 7u;
}

// The pyramid's byte for the 8^level bytes around a voxel; level is COARSENING + 1 to 4.
fn block_value(slot: u32, voxel: vec3<u32>, level: u32) -> u32 {
    let place = offset_in_page(voxel << vec3(COARSENING), slot) >> (3u * level);
    let page = page_of(slot);
    let first = (page & ((1u << PYRAMID_SHIFT) - 1u)) * PYRAMID_WORDS + level_start(level) - level_start(COARSENING + 1u);
    return pyramid_word(page >> PYRAMID_SHIFT, first + (place >> 2u)) >> (8u * (place & 3u)) & 255u;
}

// What is around a voxel, 0 to 1: its largest byte, and the share of bytes that are not zero.
fn content(slot: u32, voxel: vec3<u32>, level: u32) -> vec2<f32> {
    if level <= COARSENING {
        let value = voxel_value(slot, voxel);
        return vec2(f32(value) / 255.0, select(0.0, 1.0, value > 0u));
    }
    let block = block_value(slot, voxel, level);
    return vec2(f32(block >> 4u), f32(block & 15u)) / vec2(15.0, select(15.0, 8.0, level == COARSENING + 1u));
}
