// Skilling's Hilbert transform on the GPU: bytes in curve order to voxels in x, y, z order, and pages to
// their places. J. Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707, 381 (2004); the
// conventions (axis and bit order) are those of viewer/view/curve.py, which is the reference for the tests.

struct Job {
    order: u32,        // of the curve: of the voxels for `fill_bricks`, of the pages for `place_*`
    cube_order: u32,   // of one cube (one buffer) of the grid
    coarsening: u32,   // a voxel stands for 8^coarsening bytes and shows the largest of them
    count: u32,        // bricks, pages or cells to work on
};

@group(0) @binding(0) var<uniform> job: Job;
// Raw bytes, one run of 4096 * 8^coarsening per brick; or one page-table entry per page.
@group(0) @binding(1) var<storage, read> source: array<u32>;
// Which brick each run is: the curve index of its first voxel / 4096.
@group(0) @binding(2) var<storage, read> bricks: array<u32>;
// A cube of the grid, four voxels a word; or the page table.
@group(0) @binding(3) var<storage, read_write> target_words: array<u32>;

// Index to coordinates (Skilling's TransposetoAxes).
fn to_xyz(index: u32, order: u32) -> vec3<u32> {
    var x = vec3<u32>(0u);
    for (var bit = 0u; bit < order; bit++) {
        let triple = index >> (3u * bit);
        x |= vec3<u32>(triple >> 2u & 1u, triple >> 1u & 1u, triple & 1u) << vec3<u32>(bit);
    }
    let carried = x.z >> 1u;
    x.z ^= x.y;
    x.y ^= x.x;
    x.x ^= carried;
    for (var bit = 1u; bit < order; bit++) {
        let low_bits = (1u << bit) - 1u;
        for (var i = 2; i >= 0; i--) {
            if (x[i] >> bit & 1u) == 1u {
                x.x ^= low_bits;
            } else {
                let exchanged = (x.x ^ x[i]) & low_bits;
                x.x ^= exchanged;
                x[i] ^= exchanged;
            }
        }
    }
    return x;
}

// How the curve turns a brick: the low four bits of transformed axis i are those of axis[i], xor flip[i];
// `carry` is what the Gray code of the bits above adds to them.
struct Turn {
    axis: vec3<u32>,
    flip: vec3<u32>,
    carry: u32,
};

// The upper levels of Skilling's AxestoTranspose see the same bits in every voxel of a brick, and only
// exchange or invert the lower bits; so they run once a brick, on the brick's own coordinates.
fn turn_of(brick: vec3<u32>, order: u32) -> Turn {
    var x = brick;
    var turn = Turn(vec3<u32>(0u, 1u, 2u), vec3<u32>(0u), 0u);
    for (var bit = i32(order) - 1; bit >= 0; bit--) {
        let low_bits = (1u << u32(bit)) - 1u;
        for (var i = 0; i < 3; i++) {
            if (x[i] >> u32(bit) & 1u) == 1u {
                x.x ^= low_bits;
                turn.flip.x ^= 15u;
            } else {
                let exchanged = (x.x ^ x[i]) & low_bits;
                x.x ^= exchanged;
                x[i] ^= exchanged;
                let axis = turn.axis.x;
                turn.axis.x = turn.axis[i];
                turn.axis[i] = axis;
                let flip = turn.flip.x;
                turn.flip.x = turn.flip[i];
                turn.flip[i] = flip;
            }
        }
    }
    x.y ^= x.x;
    x.z ^= x.y;
    turn.carry = select(0u, 15u, (countOneBits(x.z) & 1u) == 1u);
    return turn;
}

fn spread4(bits: vec4<u32>) -> vec4<u32> {
    return (bits & vec4(1u)) | (bits & vec4(2u)) << vec4(2u) | (bits & vec4(4u)) << vec4(4u) | (bits & vec4(8u)) << vec4(6u);
}

// One step of the excess work on four voxels at once.
fn undo_lanes(x: ptr<function, vec4<u32>>, y: ptr<function, vec4<u32>>, bit: u32) {
    let low_bits = (1u << bit) - 1u;
    let is_set = (*y >> vec4(bit) & vec4(1u)) == vec4(1u);
    let exchanged = select((*x ^ *y) & vec4(low_bits), vec4(0u), is_set);
    *x ^= select(vec4(0u), vec4(low_bits), is_set) ^ exchanged;
    *y ^= exchanged;
}

// Places along the curve inside a brick (12 bits) of four voxels; the last four levels of AxestoTranspose.
fn offsets_in_brick(local: array<vec4<u32>, 3>, turn: Turn) -> vec4<u32> {
    var axes = local;
    var x = axes[turn.axis.x] ^ vec4(turn.flip.x);
    var y = axes[turn.axis.y] ^ vec4(turn.flip.y);
    var z = axes[turn.axis.z] ^ vec4(turn.flip.z);
    for (var bit = 3u; bit >= 1u; bit--) {
        // x against itself: inverted where set, else exchanged with itself, which changes nothing.
        x ^= select(vec4(0u), vec4((1u << bit) - 1u), (x >> vec4(bit) & vec4(1u)) == vec4(1u));
        undo_lanes(&x, &y, bit);
        undo_lanes(&x, &z, bit);
    }
    y ^= x;
    z ^= y;
    var flips = vec4(turn.carry);
    flips ^= (z >> vec4(3u) & vec4(1u)) * 7u;
    flips ^= (z >> vec4(2u) & vec4(1u)) * 3u;
    flips ^= z >> vec4(1u) & vec4(1u);
    return spread4(x ^ flips) << vec4(2u) | spread4(y ^ flips) << vec4(1u) | spread4(z ^ flips);
}

// The value of the voxel at `place` in the source: a byte, or the largest of 8^coarsening bytes.
fn voxel_value(place: u32) -> u32 {
    if job.coarsening == 0u {
        return source[place >> 2u] >> (8u * (place & 3u)) & 255u;
    }
    let words = 1u << (3u * job.coarsening - 2u);
    var largest = vec4(0u);
    for (var i = 0u; i < words; i++) {
        largest = max(largest, unpack4xU8(source[place * words + i]));
    }
    return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// One workgroup fills one brick of 16^3 voxels; an invocation writes words, four voxels along x each.
@compute @workgroup_size(64)
fn fill_bricks(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let slot = group.x;
    if slot >= job.count {
        return;
    }
    let brick = to_xyz(bricks[slot], job.order - 4u);
    let turn = turn_of(brick, job.order - 4u);
    let side = 1u << job.cube_order;
    let origin = (brick << vec3<u32>(4u)) & vec3<u32>(side - 1u);
    for (var word = lane; word < 1024u; word += 64u) {
        let x = 4u * (word & 3u);
        let y = word >> 2u & 15u;
        let z = word >> 6u;
        let place = offsets_in_brick(array<vec4<u32>, 3>(vec4(x) + vec4(0u, 1u, 2u, 3u), vec4(y), vec4(z)), turn) + vec4(slot << 12u);
        let packed = voxel_value(place.x) | voxel_value(place.y) << 8u | voxel_value(place.z) << 16u | voxel_value(place.w) << 24u;
        target_words[(origin.x + x + side * (origin.y + y + side * (origin.z + z))) >> 2u] = packed;
    }
}

// Pages in file order to the page table in x, y, z order.
@compute @workgroup_size(64)
fn place_pages(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let page = (group.y * groups.x + group.x) * 64u + lane;
    if page >= job.count {
        return;
    }
    let at = to_xyz(page, job.order);
    target_words[at.x + ((at.y + (at.z << job.order)) << job.order)] = source[page];
}

// The state of a page (viewer/view/curve.py, `page_states`): three of its eight children tell.
fn state_of(page: u32, order: u32) -> u32 {
    let entry = to_xyz(page << 3u, order + 1u) & vec3(1u);
    let second = (to_xyz(page << 3u | 1u, order + 1u) & vec3(1u)) ^ entry;
    let last = (to_xyz(page << 3u | 7u, order + 1u) & vec3(1u)) ^ entry;
    let x_axis = last.y + 2u * last.z;
    let z_axis = second.y + 2u * second.z;
    let is_swapped = select(0u, 1u, (x_axis + 1u) % 3u == z_axis);
    return entry.x | entry.y << 1u | x_axis << 2u | is_swapped << 4u;
}

// Which page is where, and how it is turned there: page number and state in x, y, z order.
@compute @workgroup_size(64)
fn place_slots(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let page = (group.y * groups.x + group.x) * 64u + lane;
    if page >= job.count {
        return;
    }
    let at = to_xyz(page, job.order);
    target_words[at.x + ((at.y + (at.z << job.order)) << job.order)] = page | state_of(page, job.order) << 24u;
}

// The page-table entries of some pages: `bricks` says which they are.
@compute @workgroup_size(64)
fn scatter_pages(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = (group.y * groups.x + group.x) * 64u + lane;
    if number >= job.count {
        return;
    }
    let at = to_xyz(bricks[number], job.order);
    target_words[at.x + ((at.y + (at.z << job.order)) << job.order)] = source[number];
}
