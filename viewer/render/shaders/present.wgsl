// The last pass: the picture in linear light, scaled to the target without smoothing (voxels stay crisp),
// encoded as sRGB with a little dither against banding, and the words
// laid over it: the legend, and the box of text beside the cursor.

struct Present {
    target_size: vec2<f32>,
    picture_size: vec2<f32>,
    overlay_size: vec2<f32>,   // zero for no overlay
    box_corner: vec2<f32>,     // of the small box of text, in pixels
    box_size: vec2<f32>,       // zero for none
    pad: vec2<f32>,
};

@group(0) @binding(0) var<uniform> present: Present;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var overlay: texture_2d<f32>;
@group(0) @binding(3) var text_box: texture_2d<f32>;

@vertex
fn vs_main(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(corner & 1u) * 4.0 - 1.0, f32(corner >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn to_srgb(linear: vec3<f32>) -> vec3<f32> {
    let c = clamp(linear, vec3(0.0), vec3(1.0));
    return select(1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec3(0.0031308));
}

@fragment
fn fs_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let place = position.xy / present.target_size;
    let linear = textureLoad(picture, vec2<i32>(place * present.picture_size), 0).rgb;
    // Soft shoulder above 0.8, so that glowing bricks keep their hue.
    let bright = max(max(linear.r, linear.g), linear.b);
    let squeezed = select(bright, 0.8 + 0.2 * (1.0 - exp(-(bright - 0.8) / 0.2)), bright > 0.8);
    let mapped = linear * (squeezed / max(bright, 1e-6));
    var colour = to_srgb(mapped);
    if present.overlay_size.x > 0.0 && all(position.xy < present.overlay_size) {
        let over = textureLoad(overlay, vec2<i32>(position.xy), 0);
        colour = colour * (1.0 - over.a) + over.rgb;
    }
    let in_box = floor(position.xy) - present.box_corner;
    if all(in_box >= vec2(0.0)) && all(in_box < present.box_size) {
        let over = textureLoad(text_box, vec2<i32>(in_box), 0);
        colour = colour * (1.0 - over.a) + over.rgb;
    }
    // Interleaved gradient noise (Jimenez, SIGGRAPH 2014): half a step of eight bits.
    let noise = fract(52.9829189 * fract(dot(floor(position.xy), vec2(0.06711056, 0.00583715)))) - 0.5;
    return vec4(colour + noise / 255.0, 1.0);
}
