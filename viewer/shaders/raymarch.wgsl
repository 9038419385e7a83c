// The ray-marcher: one ray a pixel through the Hilbert cube, in page units (a page is a unit cube).
// Three levels are skipped alike: cells of 4^3 pages that hold no visible class, pages of a hidden class,
// and, inside a brick of glass, voxels of zero. The lines at CUBES are written by viewer/raymarch.py.

struct View {
    eye: vec4<f32>,         // w: pages along an edge of the cube
    right: vec4<f32>,       // the picture plane at distance 1; w: lens shift to the right
    up: vec4<f32>,          // w: lens shift upwards
    forward: vec4<f32>,     // w: height of a pixel at distance 1
    light: vec4<f32>,       // unit vector to the light; w: 1 casts shadow and ambient rays
    extent: vec4<f32>,      // the box that RAM fills; w: a number that differs each sample
    size: vec2<f32>,        // pixels
    jitter: vec2<f32>,      // inside the pixel, -0.5 to 0.5
    page_order: u32,
    cube_order: u32,
    voxel_shift: u32,       // a page is 2^voxel_shift voxels a side
    visible: u32,           // one bit a class
};

struct Palette {
    colours: array<vec4<f32>, 32>,  // linear; w: hull
    looks: array<vec4<f32>, 32>,    // texture, glow
};

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<uniform> palette: Palette;
@group(0) @binding(2) var<storage, read> pages: array<u32>;
@group(0) @binding(3) var<storage, read> cells: array<u32>;
//CUBES

const MAX_STEPS = 2048u;
const OPAQUE = 0.99;
// Pages: a shadow tells what stands next to what; from farther away it would only be a stain.
const SHADOW_REACH = 9.0;

struct Hit {
    colour: vec3<f32>,
    alpha: f32,
    distance: f32,
    page: u32,      // place in the page table of the first brick that is no empty glass, + 1; 0 for none
};

@vertex
fn vs_main(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(corner & 1u) * 4.0 - 1.0, f32(corner >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn table_place(at: vec3<i32>, order: u32) -> u32 {
    let place = vec3<u32>(at);
    return place.x | (place.y | place.z << order) << order;
}

fn page_at(at: vec3<i32>) -> u32 {
    let edge = 1 << view.page_order;
    if any(at < vec3(0)) || any(at >= vec3(edge)) {
        return 0u;
    }
    return pages[table_place(at, view.page_order)];
}

fn is_visible(entry: u32) -> bool {
    return (view.visible >> (entry & 31u) & 1u) == 1u;
}

fn is_solid(entry: u32) -> bool {
    return is_visible(entry) && palette.colours[entry & 31u].w > OPAQUE;
}

fn solidity(at: vec3<i32>) -> f32 {
    return select(0.0, 1.0, is_solid(page_at(at)));
}

// The byte at a voxel; cubes follow the curve of order 1, a Gray code of their coordinates.
fn voxel_at(at: vec3<u32>) -> f32 {
    let cube = at >> vec3(view.cube_order);
    let y = cube.y ^ cube.x;
    let number = cube.x << 2u | y << 1u | (cube.z ^ y);
    let inside = at & vec3((1u << view.cube_order) - 1u);
    let place = inside.x | (inside.y | inside.z << view.cube_order) << view.cube_order;
    return f32(cube_word(number, place >> 2u) >> (8u * (place & 3u)) & 255u) / 255.0;
}

// Colour of a page: its class, moved a little by its owner in lightness and warmth.
fn base_colour(entry: u32) -> vec3<f32> {
    let shade = f32(entry >> 8u & 255u) / 127.5 - 1.0;
    let colour = palette.colours[entry & 31u].rgb;
    return colour * (1.0 + 0.22 * shade * vec3(1.0, 0.6, -0.2));
}

fn hash(seed: vec3<u32>) -> vec2<f32> {
    // PCG3D: Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020.
    var v = seed * 1664525u + 1013904223u;
    v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
    v ^= v >> vec3(16u);
    v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
    return vec2<f32>(v.xy >> vec2(8u)) / 16777216.0;
}

// Distances at which the ray enters and leaves a box; no hit where the second is not the larger.
fn span(origin: vec3<f32>, inverse: vec3<f32>, low: vec3<f32>, high: vec3<f32>) -> vec2<f32> {
    let a = (low - origin) * inverse;
    let b = (high - origin) * inverse;
    let near = min(a, b);
    let far = max(a, b);
    return vec2(max(max(near.x, near.y), near.z), min(min(far.x, far.y), far.z));
}

fn exit_of(origin: vec3<f32>, inverse: vec3<f32>, corner: vec3<f32>, edge: f32) -> f32 {
    let far = (corner + select(vec3(0.0), vec3(edge), inverse > vec3(0.0)) - origin) * inverse;
    return min(min(far.x, far.y), far.z);
}

fn entry_normal(origin: vec3<f32>, inverse: vec3<f32>, corner: vec3<f32>, edge: f32) -> vec3<f32> {
    let near = (corner + select(vec3(edge), vec3(0.0), inverse > vec3(0.0)) - origin) * inverse;
    if near.x >= near.y && near.x >= near.z {
        return vec3(-sign(inverse.x), 0.0, 0.0);
    }
    return select(vec3(0.0, 0.0, -sign(inverse.z)), vec3(0.0, -sign(inverse.y), 0.0), near.y >= near.z);
}

fn ray_direction(direction: vec3<f32>) -> vec3<f32> {
    return select(direction, vec3(1e-6), abs(direction) < vec3(1e-6));
}

fn step_past(t: f32) -> f32 {
    return t + max(1e-4, t * 2e-6);
}

// Whether a solid page lies on the way, within `reach`.
fn is_blocked(origin: vec3<f32>, toward: vec3<f32>, reach: f32) -> bool {
    let direction = ray_direction(toward);
    let inverse = 1.0 / direction;
    let limit = min(span(origin, inverse, vec3(0.0), view.extent.xyz).y, reach);
    var t = 0.0;
    for (var i = 0u; i < 256u && t < limit; i++) {
        let at = vec3<i32>(floor(origin + direction * t));
        if any(at < vec3(0)) || any(at >= vec3(1 << view.page_order)) {
            return false;
        }
        if (cells[table_place(at >> vec3(2u), view.page_order - 2u)] & view.visible) == 0u {
            t = step_past(exit_of(origin, inverse, vec3<f32>(at >> vec3(2u)) * 4.0, 4.0));
            continue;
        }
        if is_solid(pages[table_place(at, view.page_order)]) {
            return true;
        }
        t = step_past(exit_of(origin, inverse, vec3<f32>(at), 1.0));
    }
    return false;
}

// Light that reaches a point on a face from all around, from the eight pages in front of the face: each
// corner darkens by its solid neighbours, interpolated across the face.
fn ambient(at: vec3<i32>, normal: vec3<f32>, inside: vec3<f32>) -> f32 {
    let n = vec3<i32>(normal);
    let u = abs(n.yzx);
    let v = abs(n.zxy);
    let front = at + n;
    let fu = dot(inside, vec3<f32>(u));
    let fv = dot(inside, vec3<f32>(v));
    let left = solidity(front - u);
    let right = solidity(front + u);
    let below = solidity(front - v);
    let above = solidity(front + v);
    let c00 = max(left + below + solidity(front - u - v), 2.0 * left * below + left + below);
    let c10 = max(right + below + solidity(front + u - v), 2.0 * right * below + right + below);
    let c01 = max(left + above + solidity(front - u + v), 2.0 * left * above + left + above);
    let c11 = max(right + above + solidity(front + u + v), 2.0 * right * above + right + above);
    let shade = mix(mix(min(c00, 3.0), min(c10, 3.0), fu), mix(min(c01, 3.0), min(c11, 3.0), fu), fv);
    return 1.0 - 0.2 * shade;
}

// How near a point on a face is to the brick's edges: x to one with a page of another kind or none beyond,
// y to any; 1 on the edge, 0 away from it. `width` in pages.
fn edges(at: vec3<i32>, entry: u32, normal: vec3<f32>, inside: vec3<f32>, width: f32) -> vec2<f32> {
    var nearest = vec2(0.0);
    for (var axis = 0; axis < 3; axis++) {
        if normal[axis] != 0.0 {
            continue;
        }
        let is_high = inside[axis] > 0.5;
        let line = 1.0 - smoothstep(0.6 * width, width, min(inside[axis], 1.0 - inside[axis]));
        if line > 0.0 {
            var beyond = at;
            beyond[axis] += select(-1, 1, is_high);
            let other = page_at(beyond);
            let is_border = (other & 31u) != (entry & 31u) || (other >> 16u) != (entry >> 16u);
            nearest = max(nearest, vec2(select(0.0, line, is_border), line));
        }
    }
    return nearest;
}

fn face_light(normal: vec3<f32>) -> f32 {
    return max(dot(normal, view.light.xyz), 0.0);
}

// Colour of a point on a solid face.
fn shade(entry: u32, at: vec3<i32>, normal: vec3<f32>, point: vec3<f32>, byte: f32, t: f32, pixel: vec2<u32>) -> vec3<f32> {
    let look = palette.looks[entry & 31u];
    let inside = clamp(point - vec3<f32>(at), vec3(0.0), vec3(1.0));
    let footprint = t * view.forward.w;
    let voxel_pixels = 1.0 / (f32(1u << view.voxel_shift) * footprint);
    let colour = base_colour(entry);

    var sun = face_light(normal);
    var sky = ambient(at, normal, inside);
    if view.light.w > 0.5 {
        let start = point + normal * 2e-3;
        let random = hash(vec3(pixel, u32(view.extent.w)));
        let angle = 6.2831853 * random.x;
        let u = normal.yzx;
        let v = normal.zxy;
        // Cosine-weighted direction for the sky, a small disc for the sun.
        let radius = sqrt(random.y);
        let around = u * (cos(angle) * radius) + v * (sin(angle) * radius) + normal * sqrt(max(1.0 - random.y, 0.0));
        sky *= select(1.0, 0.25, is_blocked(start, around, 10.0));
        if sun > 0.0 {
            let disc = vec3(cos(angle), sin(angle), cos(angle + 2.0)) * (0.03 * radius);
            sun *= select(1.0, 0.12, is_blocked(start, normalize(view.light.xyz + disc), SHADOW_REACH));
        }
    }
    let grain = look.x * clamp(voxel_pixels, 0.25, 1.0);
    let value = 1.0 + grain * (select(0.18 + 0.5 * byte, -0.62, byte == 0.0));
    var lit = colour * value * (0.9 * sun + sky * mix(0.28, 0.5, 0.5 + 0.5 * normal.y)) + colour * look.y * (0.4 + 0.6 * sky);

    let page_pixels = 1.0 / footprint;
    let width = clamp(1.3 * footprint, 0.012, 0.09);
    let line = edges(at, entry, normal, inside, width) * smoothstep(5.0, 14.0, page_pixels);
    lit *= 1.0 - 0.28 * line.y;
    lit += (0.35 * colour + vec3(0.05)) * line.x * (0.4 + 0.6 * sky);
    return lit;
}

struct Voxel {
    found: bool,
    t: f32,
    byte: f32,
    normal: vec3<f32>,
};

// The first byte that is not zero between two distances inside one page.
fn march_voxels(origin: vec3<f32>, direction: vec3<f32>, inverse: vec3<f32>, at: vec3<i32>, from_t: f32, to_t: f32) -> Voxel {
    let edge = 1.0 / f32(1u << view.voxel_shift);
    let low = at << vec3(view.voxel_shift);
    let high = low + vec3((1 << view.voxel_shift) - 1);
    var t = from_t;
    for (var i = 0u; i < 64u && t < to_t; i++) {
        let voxel = clamp(vec3<i32>(floor((origin + direction * t) / edge)), low, high);
        let byte = voxel_at(vec3<u32>(voxel));
        let corner = vec3<f32>(voxel) * edge;
        if byte > 0.0 {
            return Voxel(true, t, byte, entry_normal(origin, inverse, corner, edge));
        }
        t = exit_of(origin, inverse, corner, edge) + 2e-5;
    }
    return Voxel(false, to_t, 0.0, vec3(0.0));
}

// Colour of a byte that floats in a brick of glass.
fn shade_voxel(entry: u32, voxel: Voxel, point: vec3<f32>, pixel: vec2<u32>) -> vec3<f32> {
    var sun = face_light(voxel.normal);
    if view.light.w > 0.5 && sun > 0.0 {
        sun *= select(1.0, 0.12, is_blocked(point + voxel.normal * 2e-3, view.light.xyz, SHADOW_REACH));
    }
    let sky = mix(0.28, 0.5, 0.5 + 0.5 * voxel.normal.y);
    return base_colour(entry) * (0.75 + 0.5 * voxel.byte) * (0.9 * sun + sky + 0.6 * palette.looks[entry & 31u].y);
}

fn march(origin: vec3<f32>, direction: vec3<f32>, pixel: vec2<u32>) -> Hit {
    var hit = Hit(vec3(0.0), 0.0, 1e30, 0u);
    let inverse = 1.0 / direction;
    let box = span(origin, inverse, vec3(0.0), view.extent.xyz);
    var t = step_past(max(box.x, 0.0));
    var came_from = 0u;
    let last = vec3(i32(1u << view.page_order) - 1);
    for (var i = 0u; i < MAX_STEPS && t < box.y; i++) {
        let point = origin + direction * t;
        let at = clamp(vec3<i32>(floor(point)), vec3(0), last);
        if (cells[table_place(at >> vec3(2u), view.page_order - 2u)] & view.visible) == 0u {
            t = step_past(max(exit_of(origin, inverse, vec3<f32>(at >> vec3(2u)) * 4.0, 4.0), t));
            came_from = 0u;
            continue;
        }
        let entry = pages[table_place(at, view.page_order)];
        let leave = max(exit_of(origin, inverse, vec3<f32>(at), 1.0), t);
        if !is_visible(entry) {
            t = step_past(leave);
            came_from = 0u;
            continue;
        }
        let hull = palette.colours[entry & 31u].w;
        let normal = entry_normal(origin, inverse, vec3<f32>(at), 1.0);
        if hull > OPAQUE {
            let voxels = f32(1u << view.voxel_shift);
            let inner = clamp((point - 0.01 * normal / voxels) * voxels, vec3<f32>(at) * voxels, (vec3<f32>(at) + 1.0) * voxels - 0.5);
            let colour = shade(entry, at, normal, point, voxel_at(vec3<u32>(inner)), t, pixel);
            hit.colour += (1.0 - hit.alpha) * colour;
            hit.alpha = 1.0;
            if hit.page == 0u {
                hit.distance = t;
                hit.page = table_place(at, view.page_order) + 1u;
            }
            break;
        }
        // Glass: the surface where it meets air or another class, and a little of the body.
        let footprint = t * view.forward.w;
        let voxel_pixels = 1.0 / (f32(1u << view.voxel_shift) * footprint);
        let show = palette.looks[entry & 31u].z;
        let colour = base_colour(entry) * (0.35 + 0.65 * face_light(normal) + palette.looks[entry & 31u].y);
        var alpha = 0.05 * hull;
        if came_from != (entry & 31u) {
            let line = edges(at, entry, normal, point - vec3<f32>(at), clamp(1.2 * footprint, 0.012, 0.09));
            // From afar a brick with bytes inside is almost solid; it clears as the eye comes near.
            let surface = select(hull, mix(0.8, hull, smoothstep(1.2, 3.0, voxel_pixels)), show > 0.0);
            alpha += surface * 0.9 + (hull * 1.5 * line.x - 0.2 * surface * show * line.y) * smoothstep(4.0, 12.0, 1.0 / footprint);
        }
        alpha = clamp(alpha, 0.0, 1.0);
        hit.colour += (1.0 - hit.alpha) * alpha * colour;
        hit.alpha += (1.0 - hit.alpha) * alpha;
        if show > 0.0 && hit.page == 0u {
            hit.page = table_place(at, view.page_order) + 1u;
            hit.distance = t;
        }
        came_from = entry & 31u;
        if show * voxel_pixels > 0.3 {
            let voxel = march_voxels(origin, direction, inverse, at, t, leave);
            if voxel.found {
                let place = origin + direction * voxel.t;
                hit.colour += (1.0 - hit.alpha) * show * shade_voxel(entry, voxel, place, pixel);
                hit.alpha += (1.0 - hit.alpha) * show;
            }
        }
        t = step_past(leave);
        if hit.alpha > OPAQUE {
            break;
        }
    }
    return hit;
}

// How much of a line between two points the ray touches, and at which distance: (cover, distance).
fn line_cover(origin: vec3<f32>, direction: vec3<f32>, a: vec3<f32>, b: vec3<f32>) -> vec2<f32> {
    let along = b - a;
    let between = origin - a;
    let dd = dot(along, along);
    let db = dot(direction, along);
    let s = clamp((dot(between, along) - dot(between, direction) * db) / max(dd - db * db, 1e-9), 0.0, 1.0);
    let point = a + along * s;
    let t = dot(point - origin, direction);
    let gap = length(origin + direction * t - point);
    let width = t * view.forward.w;
    return vec2(1.0 - smoothstep(0.35 * width, 1.1 * width, gap), t);
}

// The wire box around RAM: cover of its twelve edges nearer than `limit`, and farther ones fainter.
fn outline(origin: vec3<f32>, direction: vec3<f32>, limit: f32) -> f32 {
    var cover = 0.0;
    for (var edge = 0u; edge < 12u; edge++) {
        let axis = edge >> 2u;
        var a = vec3(0.0);
        var b = vec3(0.0);
        b[axis] = view.extent[axis];
        let i = (axis + 1u) % 3u;
        let j = (axis + 2u) % 3u;
        a[i] = select(0.0, view.extent[i], (edge & 1u) == 1u);
        a[j] = select(0.0, view.extent[j], (edge & 2u) == 2u);
        b[i] = a[i];
        b[j] = a[j];
        let line = line_cover(origin, direction, a, b);
        if line.y > 0.0 && line.y < limit + 0.05 {
            cover = max(cover, line.x);
        }
    }
    return cover;
}

fn background(uv: vec2<f32>) -> vec3<f32> {
    let glow = exp(-1.6 * dot(uv, uv));
    return mix(vec3(0.0022, 0.0030, 0.0052), vec3(0.0125, 0.0175, 0.0290), glow);
}

fn pixel_ray(position: vec2<f32>) -> vec3<f32> {
    let uv = (position / view.size * 2.0 - 1.0) * vec2(1.0, -1.0);
    return ray_direction(normalize(view.forward.xyz + view.right.xyz * (uv.x - view.right.w) + view.up.xyz * (uv.y - view.up.w)));
}

@fragment
fn fs_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let direction = pixel_ray(position.xy + view.jitter);
    let origin = view.eye.xyz;
    let uv = (position.xy / view.size * 2.0 - 1.0) * vec2(view.size.x / view.size.y, -1.0) - vec2(view.right.w * view.size.x / view.size.y, view.up.w);
    let behind = background(uv);
    let hit = march(origin, direction, vec2<u32>(position.xy));
    // Depth cue: what lies deeper in the box sinks into the background.
    let near = span(origin, 1.0 / direction, vec3(0.0), view.extent.xyz).x;
    let depth = clamp((hit.distance - max(near, 0.0)) / (1.7 * view.eye.w), 0.0, 1.0);
    let fog = select(0.0, 0.55 * depth, hit.page != 0u);
    var colour = mix(hit.colour, behind * hit.alpha, fog) + behind * (1.0 - hit.alpha);
    let wire = outline(origin, direction, hit.distance);
    colour += vec3(0.10, 0.13, 0.18) * wire * (1.0 - 0.6 * hit.alpha);
    return vec4(colour, 1.0);
}

// Which page each pixel shows: its place in the page table + 1, 0 for none.
@fragment
fn fs_pick(@builtin(position) position: vec4<f32>) -> @location(0) u32 {
    return march(view.eye.xyz, pixel_ray(position.xy), vec2<u32>(position.xy)).page;
}
