// The 8:1 pyramid over raw pages. Along the curve eight consecutive values are a cube of two a side, so a
// level is a plain reduction over memory. The layout is told in shaders/bricks.wgsl.

struct Job {
    pool_shift: u32,       // pages in a segment of the pool, as a power of two
    pyramid_shift: u32,    // the same of the pyramid
    coarsening: u32,       // a page is 4096 / 8^coarsening bytes here
    count: u32,            // pages to work on
};

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> pool: array<u32>;
@group(0) @binding(2) var<storage, read> pages: array<u32>;
@group(0) @binding(3) var<storage, read_write> pyramid: array<u32>;

fn level_start(level: u32) -> u32 {
    return (1024u - (1024u >> (3u * level - 3u))) / 7u;
}

// First word of a level of a page's pyramid.
fn level_place(page: u32, level: u32) -> u32 {
    let first_start = level_start(job.coarsening + 1u);
    let page_words = level_start(4u) - first_start + 1u;
    return (page & ((1u << job.pyramid_shift) - 1u)) * page_words + level_start(level) - first_start;
}

fn largest_byte(one: u32, other: u32) -> u32 {
    let both = max(unpack4xU8(one), unpack4xU8(other));
    return max(max(both.x, both.y), max(both.z, both.w));
}

// 0x80 for every byte that is not zero.
fn nonzero_bytes(word: u32) -> u32 {
    return (((word & 0x7f7f7f7fu) + 0x7f7f7f7fu) | word) & 0x80808080u;
}

// The first level: an invocation makes a word of four entries, of eight bytes each.
@compute @workgroup_size(64)
fn reduce_pages(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.y * groups.x + group.x) * 64u + lane;
    let entries = 512u >> (3u * job.coarsening);
    let shift = max(7u, 3u * job.coarsening) - 3u * job.coarsening;  // words of a page, as a power of two
    let slot = index >> shift;
    if slot >= job.count {
        return;
    }
    let page = pages[slot];
    let word = index & ((1u << shift) - 1u);
    let source = (page & ((1u << job.pool_shift) - 1u)) * (entries << 1u) + 8u * word;
    var packed = 0u;
    for (var entry = 0u; entry < min(entries, 4u); entry++) {
        let low = pool[source + 2u * entry];
        let high = pool[source + 2u * entry + 1u];
        let largest = min((largest_byte(low, high) + 15u) >> 4u, 15u);
        let count = countOneBits(nonzero_bytes(low) | nonzero_bytes(high) >> 1u);
        packed |= (largest << 4u | count) << (8u * entry);
    }
    pyramid[level_place(page, job.coarsening + 1u) + word] = packed;
}

// The levels above it, from its exact counts: an invocation makes those of a page.
@compute @workgroup_size(64)
fn reduce_blocks(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.y * groups.x + group.x) * 64u + lane;
    if index >= job.count {
        return;
    }
    let page = pages[index];
    let first = job.coarsening + 1u;
    let source = level_place(page, first);
    var largest = vec3(0u);     // of the run of 64, 512 and 4096 voxels that is being read
    var count = vec3(0u);
    var packed = vec3(0u);
    let runs = 64u >> (3u * job.coarsening);
    for (var run = 0u; run < runs; run++) {
        let low = pyramid[source + 2u * run];
        let high = pyramid[source + 2u * run + 1u];
        largest = max(largest, vec3(largest_byte(low >> 4u & 0x0f0f0f0fu, high >> 4u & 0x0f0f0f0fu)));
        count += vec3((((low & 0x0f0f0f0fu) + (high & 0x0f0f0f0fu)) * 0x01010101u) >> 24u);
        for (var up = 0u; up < 4u - first; up++) {
            let entry = run >> (3u * up);
            let shift = 8u * (entry & 3u);
            let bits = 3u * up + 6u;
            packed[up] |= (largest[up] << 4u | (count[up] * 15u + (1u << bits) - 1u) >> bits) << shift;
            if shift == 24u || first + up == 3u {
                pyramid[level_place(page, first + 1u + up) + (entry >> 2u)] = packed[up];
                packed[up] = 0u;
            }
            largest[up] = 0u;
            count[up] = 0u;
            if (entry & 7u) != 7u {
                break;
            }
        }
    }
}
