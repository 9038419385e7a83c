
// The yardstick: the same pick by a march that knows of nothing empty: every voxel on the way is read, its byte
// and its class.
@fragment
fn fs_voxels(@builtin(position) position: vec4<f32>) -> @location(0) vec4<u32> {
    let ray = ray_from(view.eye.xyz, pixel_ray(position.xy + view.jitter));
    let fine = Ray(ray.origin * VOXELS, ray.direction * VOXELS, ray.inverse / VOXELS);
    let start = enter(ray);
    let high = vec3<i32>(view.extent.xyz * VOXELS);
    var walk = Walk(clamp(vec3<i32>(floor(fine.origin + fine.direction * start.t)), vec3(0), high - 1), start.t);
    var answer = vec4(0u);
    var in_page = vec3(-9);
    for (var i = 0u; i < 8192u && !is_outside(start.at); i++) {
        if any(walk.at < vec3(0)) || any(walk.at >= high) {
            break;
        }
        let at = walk.at >> vec3(VOXEL_SHIFT);
        let place = table_place(at, PAGE_ORDER);
        if answer.x != 0u && any(at != in_page) {
            break;      // a brick without a byte on the way counts from afar
        }
        let inside = vec3<u32>(walk.at) & vec3((1u << VOXEL_SHIFT) - 1u);
        let byte = voxel_value(slots[place], inside);
        if (view.bodies >> (pages[place] & 31u) & 1u) == 1u {
            let is_hit = is_solid(pages[place]) || byte > 0u;
            if is_hit || answer.x == 0u {
                answer = vec4(page_of(slots[place]) + 1u, offset_in_page(inside, slots[place]), bitcast<u32>(walk.t), 0u);
                in_page = at;
            }
            if is_hit {
                break;
            }
        }
        walk = leave(fine, walk, walk.at, 1);
    }
    return answer;
}
