// The ray-marcher: one ray a pixel through the Hilbert cube, in page units (a page is a unit cube).
// Three levels are skipped alike: cells of 4^3 pages (64^3 voxels) that hold no visible class, pages of a
// hidden class, and, inside a brick of glass, cache lines and voxels of zero. Bytes are read by the
// functions of bricks.wgsl, which stands before this.

struct View {
    eye: vec4<f32>,         // w: pages along an edge of the cube
    right: vec4<f32>,       // the picture plane at distance 1; w: lens shift to the right
    up: vec4<f32>,          // w: lens shift upwards
    forward: vec4<f32>,     // w: height of a pixel at distance 1
    light: vec4<f32>,       // unit vector to the light; w: 1 casts shadow and ambient rays
    extent: vec4<f32>,      // the box that RAM fills; w: a number that differs each sample
    size: vec2<f32>,        // pixels
    jitter: vec2<f32>,      // inside the pixel, -0.5 to 0.5
    visible: u32,           // the classes that show, one bit each
    bodies: u32,            // those of them that are no empty glass
    solids: u32,            // those of them that cast shadows
    flags: u32,             // see below
    pages: vec3<u32>,       // the box that shows, in pages: as many
    low: vec3<u32>,         // from here on
    mode: u32,              // what colours mean
    tone: vec4<f32>,        // bytes that show: lowest, highest; gamma; opacity
};

struct Palette {
    colours: array<vec4<f32>, 32>,  // linear; w: surface_opacity
    materials: array<vec4<f32>, 32>, // texture, emission, bytes inside
    ramp: array<vec4<f32>, 256>,    // colours of values, linear
};

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<uniform> palette: Palette;
@group(0) @binding(2) var<storage, read> pages: array<u32>;
@group(0) @binding(3) var<storage, read> cells: array<u32>;
@group(0) @binding(4) var<storage, read> styles: array<u32>;   // viewer/render/page_style.py

const FLAG_SHADING = 1u;
const FLAG_OWNER_EDGES = 2u;
const FLAG_MARKS = 4u;      // some page is selected or highlighted
const FLAG_ENDED = 8u;      // in grey
const MODE_CLASS = 0u;
const MODE_BYTES = 1u;
const MODE_VALUE = 2u;      // the page's value on the ramp
const MODE_ACTIVITY = 3u;   // the same, and pages without one are dimmed
const STYLE_SELECTED = 1u << 16u;
const STYLE_HIGHLIGHTED = 1u << 17u;
const STYLE_LINES = 1u << 18u;
const STYLE_LIT = 1u << 19u;
// Beside the classes, in masks of them and in cells.
const LIT = 1u << 31u;
const MARKED = 1u << 30u;
const GLOW_COLOUR = vec3<f32>(1.0, 1.0, 1.0);     // of viewer/view/palette.py
const HIGHLIGHT_COLOUR = vec3<f32>(1.0, 0.80, 0.12);
const SELECTED_COLOUR = vec3<f32>(0.75, 0.92, 1.0);

const VOXELS = f32(1u << VOXEL_SHIFT);  // along the edge of a page
const BODY_DENSITY = 0.075;     // of glass, for each page of the way through it
const MAX_STEPS = 2048u;
const OPAQUE = 0.99;     // a ray ends here
// Voxels a pixel from which a brick of glass is looked at, not through.
const LOOK_THROUGH = 0.5;
// Pages: a shadow tells what stands next to what; from farther away it would only be a stain.
const SHADOW_REACH = 9.0;

struct Hit {
    colour: vec3<f32>,
    alpha: f32,
    distance: f32,
    is_body: bool,  // whether something other than empty glass was met, at `distance`
};

@vertex
fn vs_main(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(corner & 1u) * 4.0 - 1.0, f32(corner >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn style_at(place: u32) -> u32 {
    return styles[page_of(slots[place])];
}

fn page_at(at: vec3<i32>) -> u32 {
    if is_outside(at) {
        return 0u;
    }
    return pages[table_place(at, PAGE_ORDER)];
}

fn is_solid(entry: u32) -> bool {
    return (view.solids >> (entry & 31u) & 1u) == 1u;
}

fn solidity(at: vec3<i32>) -> f32 {
    return select(0.0, 1.0, is_solid(page_at(at)));
}

// Whether a byte, 0 to 1, is one of those that show.
fn is_shown(byte: f32) -> bool {
    return byte * 255.0 >= view.tone.x - 0.5 && byte * 255.0 <= view.tone.y + 0.5;
}

fn byte_colour(byte: f32) -> vec3<f32> {
    let share = clamp((byte * 255.0 - view.tone.x) / max(view.tone.y - view.tone.x, 1.0), 0.0, 1.0);
    return palette.ramp[u32(255.0 * pow(share, view.tone.z))].rgb;
}

// Colour of a page: its class, moved a little by its owner in lightness and warmth; or its value.
fn base_colour(entry: u32, style: u32) -> vec3<f32> {
    if view.mode >= MODE_VALUE && (view.mode == MODE_VALUE || (style & 255u) > 0u) {
        return palette.ramp[style & 255u].rgb;
    }
    if view.mode != MODE_CLASS {
        return vec3(0.10, 0.12, 0.16);
    }
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

struct Ray {
    origin: vec3<f32>,
    direction: vec3<f32>,
    inverse: vec3<f32>,
};

// Where a ray is: in which unit cube, and at which distance it entered it. The cube is counted in integers,
// so a step can neither stop on a face nor slip past a corner.
struct Walk {
    at: vec3<i32>,
    t: f32,
};

fn ray_from(origin: vec3<f32>, toward: vec3<f32>) -> Ray {
    let direction = ray_direction(toward);
    return Ray(origin, direction, 1.0 / direction);
}

// From inside a box of `edge` unit cubes into the cube beyond it.
fn leave(ray: Ray, walk: Walk, corner: vec3<i32>, edge: i32) -> Walk {
    let is_up = ray.direction > vec3(0.0);
    let far = (vec3<f32>(corner + select(vec3(0), vec3(edge), is_up)) - ray.origin) * ray.inverse;
    let t = max(min(min(far.x, far.y), far.z), walk.t);
    let is_x = far.x <= far.y && far.x <= far.z;
    let is_y = !is_x && far.y <= far.z;
    let beyond = select(corner - 1, corner + edge, is_up);
    // No floor: what truncation gets wrong, below zero, is outside the box anyway.
    let inside = clamp(vec3<i32>(ray.origin + ray.direction * t), corner, corner + edge - 1);
    return Walk(select(inside, beyond, vec3(is_x, is_y, !is_x && !is_y)), t);
}

fn is_outside(at: vec3<i32>) -> bool {
    return any(vec3<u32>(at) - view.low >= view.pages);    // a negative one is a huge one
}

// The first page of one of `classes` from a place on, its own included; outside or beyond `limit` for none.
fn find_page(ray: Ray, from_here: Walk, classes: u32, limit: f32) -> Walk {
    var walk = from_here;
    for (var i = 0u; i < MAX_STEPS; i++) {
        if is_outside(walk.at) || walk.t > limit {
            break;
        }
        let cell = walk.at >> vec3(2u);
        if (cells[table_place(cell, PAGE_ORDER - 2u)] & classes) == 0u {
            walk = leave(ray, walk, cell << vec3(2u), 4);
            continue;
        }
        let place = table_place(walk.at, PAGE_ORDER);
        if (classes >> (pages[place] & 31u) & 1u) == 1u {
            break;
        }
        if (classes & (LIT | MARKED)) != 0u {
            let style = style_at(place);
            let is_lit = (style & STYLE_LIT) != 0u;
            let is_marked = is_lit && (style & (STYLE_SELECTED | STYLE_HIGHLIGHTED)) != 0u;
            if (is_lit && (classes & LIT) != 0u) || (is_marked && (classes & MARKED) != 0u) {
                break;
            }
        }
        walk = leave(ray, walk, walk.at, 1);
    }
    return walk;
}

// The first page that is lit or not of one class, from a place on; the cells that hold nothing else are one step.
fn cross_class(ray: Ray, from_here: Walk, page_class: u32) -> Walk {
    var walk = from_here;
    for (var i = 0u; i < MAX_STEPS; i++) {
        if is_outside(walk.at) {
            break;
        }
        let cell = walk.at >> vec3(2u);
        if cells[table_place(cell, PAGE_ORDER - 2u)] == 1u << page_class {
            walk = leave(ray, walk, cell << vec3(2u), 4);
            continue;
        }
        let place = table_place(walk.at, PAGE_ORDER);
        if (pages[place] & 31u) != page_class || (style_at(place) & STYLE_LIT) != 0u {
            break;
        }
        walk = leave(ray, walk, walk.at, 1);
    }
    return walk;
}

// Whether a solid page is on the way, within `reach`.
fn is_blocked(origin: vec3<f32>, toward: vec3<f32>, reach: f32) -> bool {
    let walk = find_page(ray_from(origin, toward), Walk(vec3<i32>(floor(origin)), 0.0), view.solids, reach);
    return !is_outside(walk.at) && walk.t <= reach;
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

// How near a point on a face is to the brick's edges: x to one with a page of another class or none beyond,
// y to any, z to one of another owner; 1 on the edge, 0 away from it. `width` in pages.
fn edges(at: vec3<i32>, entry: u32, normal: vec3<f32>, inside: vec3<f32>, width: f32) -> vec3<f32> {
    var nearest = vec3(0.0);
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
            let is_border = (other & 31u) != (entry & 31u);
            let is_strange = (other >> 16u) != (entry >> 16u);
            nearest = max(nearest, vec3(select(0.0, line, is_border || is_strange), line, select(0.0, line, is_strange)));
        }
    }
    return nearest;
}

// How near a point on a face of a selected page is to where the selection ends: 1 on that edge.
fn selection_edge(at: vec3<i32>, normal: vec3<f32>, inside: vec3<f32>, width: f32) -> f32 {
    var nearest = 0.0;
    for (var axis = 0; axis < 3; axis++) {
        let line = 1.0 - smoothstep(0.8 * width, width, min(inside[axis], 1.0 - inside[axis]));
        if normal[axis] != 0.0 || line <= 0.0 {
            continue;
        }
        var beyond = at;
        beyond[axis] += select(-1, 1, inside[axis] > 0.5);
        if is_outside(beyond) || (style_at(table_place(beyond, PAGE_ORDER)) & STYLE_SELECTED) == 0u {
            nearest = max(nearest, line);
        }
    }
    return nearest;
}

// What is over the colour of a lit page: its glow, the highlight, the outline of what is selected; and how much. A glow is
// light of its own, the same on each face.
fn tint(at: vec3<i32>, style: u32, normal: vec3<f32>, point: vec3<f32>, footprint: f32) -> vec4<f32> {
    let heat = f32(style >> 8u & 255u) / 255.0;
    let light = 0.5 + 0.5 * face_light(normal);
    var over = vec4(GLOW_COLOUR, 0.95 * heat);
    if (style & STYLE_HIGHLIGHTED) != 0u {
        var share = 0.92;
        // Near by only the lines that hold something of it shine.
        if (style & STYLE_LINES) != 0u && VOXELS * footprint < 1.0 {
            let slot = slots[table_place(at, PAGE_ORDER)];
            let line = offset_in_page(voxel_in(at, point) << vec3(COARSENING), slot) >> 6u;
            let bits = styles[PAGE_COUNT + 2u * page_of(slot) + (line >> 5u)];
            share = select(0.12, 1.0, (bits >> (line & 31u) & 1u) == 1u);
        }
        over = vec4(mix(over.rgb, HIGHLIGHT_COLOUR * light, share), max(over.a, share));
    }
    if (style & STYLE_SELECTED) != 0u {
        let inside = clamp(point - vec3<f32>(at), vec3(0.0), vec3(1.0));
        let line = selection_edge(at, normal, inside, clamp(2.2 * footprint, 0.03, 0.5));
        over = vec4(mix(over.rgb, SELECTED_COLOUR * light, max(line, 0.3)), max(over.a, max(line, 0.3)));
    }
    return over;
}

fn face_light(normal: vec3<f32>) -> f32 {
    return max(dot(normal, view.light.xyz), 0.0);
}

// Colour of a point on a solid face.
fn shade(entry: u32, style: u32, at: vec3<i32>, normal: vec3<f32>, point: vec3<f32>, t: f32, pixel: vec2<u32>) -> vec3<f32> {
    let look = palette.materials[entry & 31u];
    let inside = clamp(point - vec3<f32>(at), vec3(0.0), vec3(1.0));
    let footprint = t * view.forward.w;
    let voxel_pixels = 1.0 / (VOXELS * footprint);
    var colour = base_colour(entry, style);

    var sun = face_light(normal);
    var sky = 0.9;
    if (view.flags & FLAG_SHADING) != 0u {
        sky = ambient(at, normal, inside);
    }
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
    // The level of the pyramid whose blocks are about a pixel.
    let level = COARSENING + u32(clamp(round(-log2(voxel_pixels)), 0.0, f32(VOXEL_SHIFT)));
    var found = content(slots[table_place(at, PAGE_ORDER)], voxel_in(at, point), level);
    if level > COARSENING {
        // Of a block only the largest byte is known: others may be lower.
        found.x = min(found.x, view.tone.y / 255.0);
    }
    if !is_shown(found.x) {
        found = vec2(0.0);
    }
    if view.mode == MODE_BYTES {
        colour = mix(colour, byte_colour(found.x), select(0.0, view.tone.w, found.y > 0.0));
    }
    let grain = look.x * clamp(voxel_pixels, 0.25, 1.0);
    let value = 1.0 + grain * mix(-0.62, 0.18 + 0.5 * found.x, found.y);
    var lit = colour * value * (0.9 * sun + sky * mix(0.28, 0.5, 0.5 + 0.5 * normal.y)) + colour * look.y * (0.4 + 0.6 * sky);

    let page_pixels = 1.0 / footprint;
    let width = clamp(1.3 * footprint, 0.012, 0.09);
    let line = edges(at, entry, normal, inside, width) * smoothstep(5.0, 14.0, page_pixels);
    lit *= 1.0 - 0.28 * line.y;
    lit += (0.35 * colour + vec3(0.05)) * line.x * (0.4 + 0.6 * sky);
    if (view.flags & FLAG_OWNER_EDGES) != 0u {
        lit = mix(lit, vec3(0.75, 0.80, 0.85), 0.8 * line.z * smoothstep(2.0, 5.0, page_pixels));
    }
    return lit;
}

// The voxel of a page that a point of it is in.
fn voxel_in(at: vec3<i32>, point: vec3<f32>) -> vec3<u32> {
    return vec3<u32>(clamp((point - vec3<f32>(at)) * VOXELS, vec3(0.0), vec3(VOXELS - 0.5)));
}

struct Voxel {
    found: bool,
    t: f32,
    byte: f32,
    at: vec3<u32>,
    normal: vec3<f32>,
};

// The first byte that is not zero on a ray's way through a page; lines of 4^3 bytes of zero are one step.
fn march_voxels(ray: Ray, page: Walk) -> Voxel {
    let slot = slots[table_place(page.at, PAGE_ORDER)];
    let inner = Ray((ray.origin - vec3<f32>(page.at)) * VOXELS, ray.direction * VOXELS, ray.inverse / VOXELS);
    let last = vec3(i32(VOXELS) - 1);
    var walk = Walk(clamp(vec3<i32>(floor(inner.origin + inner.direction * page.t)), vec3(0), last), page.t);
    for (var i = 0u; i < 64u; i++) {
        if any(walk.at < vec3(0)) || any(walk.at > last) {
            break;
        }
        let at = vec3<u32>(walk.at);
        if COARSENING < 2u && block_value(slot, at, 2u) == 0u {
            let shift = vec3(max(2u, COARSENING) - COARSENING);  // without max its constant would be no number where this never runs
            walk = leave(inner, walk, walk.at >> shift << shift, 4 >> COARSENING);
            continue;
        }
        let byte = voxel_value(slot, at);
        if byte > 0u && is_shown(f32(byte) / 255.0) {
            return Voxel(true, walk.t, f32(byte) / 255.0, at, entry_normal(inner.origin, inner.inverse, vec3<f32>(at), 1.0));
        }
        walk = leave(inner, walk, walk.at, 1);
    }
    return Voxel(false, walk.t, 0.0, vec3(0u), vec3(0.0));
}

// Colour of a byte that floats in a brick of glass.
fn shade_voxel(entry: u32, style: u32, voxel: Voxel, point: vec3<f32>, pixel: vec2<u32>) -> vec3<f32> {
    var sun = face_light(voxel.normal);
    if view.light.w > 0.5 && sun > 0.0 {
        sun *= select(1.0, 0.12, is_blocked(point + voxel.normal * 2e-3, view.light.xyz, SHADOW_REACH));
    }
    let sky = mix(0.28, 0.5, 0.5 + 0.5 * voxel.normal.y);
    var colour = base_colour(entry, style);
    if view.mode == MODE_BYTES {
        colour = byte_colour(voxel.byte);
    }
    return colour * (0.75 + 0.5 * voxel.byte) * (0.9 * sun + sky + 0.6 * palette.materials[entry & 31u].y);
}

fn enter(ray: Ray) -> Walk {
    let low = vec3<i32>(view.low);
    let high = low + vec3<i32>(view.pages);
    let box = span(ray.origin, ray.inverse, vec3<f32>(low), vec3<f32>(high));
    let t = max(box.x, 0.0);
    let at = clamp(vec3<i32>(floor(ray.origin + ray.direction * t)), low, high - 1);
    return Walk(select(at, vec3(-1), box.y <= t), t);
}

fn march(ray: Ray, pixel: vec2<u32>) -> Hit {
    var hit = Hit(vec3(0.0), 0.0, 1e30, false);
    var walk = enter(ray);
    // The class of the glass just left, and the page beyond it: glass beside its like has no surface.
    var came_from = 0u;
    var left = vec3(-9);
    for (var i = 0u; i < MAX_STEPS; i++) {
        walk = find_page(ray, walk, view.visible, 1e30);
        if is_outside(walk.at) {
            break;
        }
        if any(walk.at != left) {
            came_from = 0u;
        }
        let at = walk.at;
        let place = table_place(at, PAGE_ORDER);
        let entry = pages[place];
        let style = style_at(place);
        let is_lit = (style & STYLE_LIT) != 0u;
        let surface_opacity = palette.colours[entry & 31u].w;
        let point = ray.origin + ray.direction * walk.t;
        let normal = entry_normal(ray.origin, ray.inverse, vec3<f32>(at), 1.0);
        if is_solid(entry) {
            var colour = shade(entry, style, at, normal, point, walk.t, pixel);
            if is_lit {
                let over = tint(at, style, normal, point, walk.t * view.forward.w);
                colour = mix(colour, over.rgb, over.a);
            }
            hit.colour += (1.0 - hit.alpha) * colour;
            hit.alpha = 1.0;
            hit.distance = select(walk.t, hit.distance, hit.is_body);
            hit.is_body = true;
            break;
        }
        // Glass: the surface where it meets air or another class, and a little of the body.
        let footprint = walk.t * view.forward.w;
        let voxel_pixels = 1.0 / (VOXELS * footprint);
        let show = palette.materials[entry & 31u].z;
        var colour = base_colour(entry, style) * (0.35 + 0.65 * face_light(normal) + palette.materials[entry & 31u].y);
        var alpha = 0.0;
        if came_from != (entry & 31u) || is_lit {
            let line = edges(at, entry, normal, point - vec3<f32>(at), clamp(1.2 * footprint, 0.012, 0.09));
            // From afar a brick with bytes inside is almost solid; it clears as the eye comes near.
            let surface = select(surface_opacity, mix(0.8, surface_opacity, smoothstep(1.2, 3.0, voxel_pixels)), show > 0.0);
            alpha = surface * 0.9 + (surface_opacity * 1.5 * line.x - 0.2 * surface * show * line.y) * smoothstep(4.0, 12.0, 1.0 / footprint);
            if (view.flags & FLAG_OWNER_EDGES) != 0u && surface_opacity > 0.0 {
                alpha = max(alpha, min(4.0 * surface_opacity, 0.7) * line.z * smoothstep(2.0, 5.0, 1.0 / footprint));
            }
        }
        if is_lit {
            let over = tint(at, style, normal, point, footprint);
            colour = mix(colour, over.rgb, over.a);
            // Amid empty glass a lit page is a body of its own; among bytes it stays clear.
            var body = select(0.9 * over.a, 0.0, show > 0.0 && voxel_pixels > 1.2);
            if view.mode == MODE_ACTIVITY && (style & 255u) > 0u {
                body = mix(0.45, 0.97, f32(style & 255u) / 255.0);
            }
            alpha = max(alpha, body);
        }
        // The body thickens with the way through it; empty glass is crossed as far as it goes.
        let entered = walk.t;
        let beyond = leave(ray, walk, at, 1);
        var next = beyond;
        if show == 0.0 && !is_lit {
            next = cross_class(ray, beyond, entry & 31u);
        }
        alpha = 1.0 - (1.0 - clamp(alpha, 0.0, 1.0)) * exp(-BODY_DENSITY * surface_opacity * (next.t - entered));
        hit.colour += (1.0 - hit.alpha) * alpha * colour;
        hit.alpha += (1.0 - hit.alpha) * alpha;
        if (show > 0.0 || is_lit) && !hit.is_body {
            hit.is_body = true;
            hit.distance = walk.t;
        }
        if show * voxel_pixels > 0.3 {
            let voxel = march_voxels(ray, walk);
            if voxel.found {
                let point_inside = ray.origin + ray.direction * voxel.t;
                let opacity = show * view.tone.w;
                var voxel_colour = shade_voxel(entry, style, voxel, point_inside, pixel);
                if (style & (STYLE_HIGHLIGHTED | 0xff00u)) != 0u {
                    let over = tint(at, style & ~STYLE_SELECTED, voxel.normal, point_inside - 1e-3 * voxel.normal, footprint);
                    voxel_colour = mix(voxel_colour, over.rgb, over.a);
                }
                hit.colour += (1.0 - hit.alpha) * opacity * voxel_colour;
                hit.alpha += (1.0 - hit.alpha) * opacity;
            }
        }
        if hit.alpha > OPAQUE {
            break;
        }
        came_from = entry & 31u;
        walk = next;
        left = walk.at;
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

// A hint of the first marked page on a ray's way, through whatever stands in front of it.
fn mark_behind(ray: Ray, distance: f32) -> vec3<f32> {
    let walk = find_page(ray, enter(ray), MARKED, 1e30);
    if is_outside(walk.at) || walk.t <= distance + 1e-3 {
        return vec3(0.0);
    }
    let style = style_at(table_place(walk.at, PAGE_ORDER));
    return select(SELECTED_COLOUR, HIGHLIGHT_COLOUR, (style & STYLE_HIGHLIGHTED) != 0u) * 0.13;
}

fn background_at(position: vec2<f32>) -> vec3<f32> {
    return background((position / view.size * 2.0 - 1.0) * vec2(view.size.x / view.size.y, -1.0) - vec2(view.right.w * view.size.x / view.size.y, view.up.w));
}

// What a pixel shows of this machine, and how much it hides of what is behind.
fn see(position: vec2<f32>, behind: vec3<f32>) -> vec4<f32> {
    let direction = pixel_ray(position + view.jitter);
    let origin = view.eye.xyz;
    var hit = march(ray_from(origin, direction), vec2<u32>(position));
    if (view.flags & FLAG_ENDED) != 0u {
        hit.colour = vec3(0.6 * dot(hit.colour, vec3(0.2126, 0.7152, 0.0722)));
    }
    // Depth cue: what is deeper in the box sinks into the background.
    let near = span(origin, 1.0 / direction, vec3(0.0), view.extent.xyz).x;
    let depth = clamp((hit.distance - max(near, 0.0)) / (1.7 * view.eye.w), 0.0, 1.0);
    let fog = select(0.0, 0.55 * depth, hit.is_body);
    var colour = mix(hit.colour, behind * hit.alpha, fog);
    if (view.flags & FLAG_MARKS) != 0u {
        colour += mark_behind(ray_from(origin, direction), hit.distance);
    }
    let wire = outline(origin, direction, hit.distance);
    return vec4(colour + vec3(0.10, 0.13, 0.18) * wire * (1.0 - 0.6 * hit.alpha), hit.alpha);
}

@fragment
fn fs_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let behind = background_at(position.xy);
    let seen = see(position.xy, behind);
    return vec4(seen.rgb + behind * (1.0 - seen.a), 1.0);
}

// One of several machines, to be painted over those behind it.
@fragment
fn fs_over(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    return see(position.xy, background_at(position.xy));
}

@fragment
fn fs_background(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    return vec4(background_at(position.xy), 1.0);
}

// What a pixel shows, exactly: page number + 1 (0 for air and empty glass), offset in the page, distance.
// It is the voxel of a solid brick where the ray enters it, and of a brick with bytes inside the first that is
// not zero. A brick in which the ray meets zeros alone counts where it looks solid, from afar; near by the eye
// looks through it, and it counts if there is nothing else.
fn pick(ray: Ray) -> vec4<u32> {
    var fallback = vec4(0u);
    var walk = enter(ray);
    for (var i = 0u; i < MAX_STEPS; i++) {
        walk = find_page(ray, walk, view.bodies, 1e30);
        if is_outside(walk.at) {
            break;
        }
        let place = table_place(walk.at, PAGE_ORDER);
        var voxel = Voxel(is_solid(pages[place]), walk.t, 0.0, voxel_in(walk.at, ray.origin + ray.direction * walk.t), vec3(0.0));
        if !voxel.found {
            let inside = march_voxels(ray, walk);
            if inside.found {
                voxel = inside;
            }
        }
        let offset = offset_in_page(voxel.at << vec3(COARSENING), slots[place]) >> (3u * COARSENING) << (3u * COARSENING);
        let answer = vec4(page_of(slots[place]) + 1u, offset, bitcast<u32>(voxel.t), 0u);
        if voxel.found || walk.t * view.forward.w * VOXELS > LOOK_THROUGH {
            return answer;
        }
        if fallback.x == 0u {
            fallback = answer;
        }
        walk = leave(ray, walk, walk.at, 1);
    }
    return fallback;
}

@fragment
fn fs_pick(@builtin(position) position: vec4<f32>) -> @location(0) vec4<u32> {
    return pick(ray_from(view.eye.xyz, pixel_ray(position.xy + view.jitter)));
}
