
// For tests: every voxel, or the pyramid's byte at it, as the shader that draws would read it.
@group(0) @binding(0) var<storage, read_write> voxels: array<u32>;

@compute @workgroup_size(16)
fn read_row(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let side = 1u << (PAGE_ORDER + VOXEL_SHIFT);
    for (var x = 4u * lane; x < side; x += 64u) {
        var word = 0u;
        for (var i = 0u; i < 4u; i++) {
            let at = vec3(x + i, row.x, row.y);
            let slot = slots[table_place(vec3<i32>(at >> vec3(VOXEL_SHIFT)), PAGE_ORDER)];
            let inside = at & vec3((1u << VOXEL_SHIFT) - 1u);
            var value = 0u;
            if (LEVEL) == 0u {
                value = voxel_value(slot, inside);
            } else {
                value = block_value(slot, inside, LEVEL);
            }
            word |= value << (8u * i);
        }
        voxels[(x + side * (row.x + side * row.y)) >> 2u] = word;
    }
}
