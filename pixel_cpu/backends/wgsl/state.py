"""What stands in every shader: the state of an invocation, as WGSL: its lane, fuel, trap and lines, and how a group votes."""

STATE = """const GB_GONE = 0xffffffffu;
var<private> gb_lane: u32;
var<private> gb_local: u32;
var<private> gb_group: u32;
var<private> gb_slot: u32;
var<private> gb_fuel_low: u32;
var<private> gb_fuel_high: u32;
var<private> gb_dead: bool;
var<private> gb_site: u32;
var<private> gb_index_words: vec2<u32>;
var<private> gb_at: u32;
var<private> gb_to: u32;
var<private> gb_printed: u32;

fn gb_outside(index: u32, size: u32, width: u32) -> bool { return size < width || index > size - width; }

fn gb_burn(amount: u32) -> bool {
  if gb_fuel_low < amount {
    if gb_fuel_high == 0u { return true; }
    gb_fuel_high -= 1u;
  }
  gb_fuel_low -= amount;
  return false;
}

fn gb_trap(site: u32, words: vec2<u32>) {
  gb_dead = true;
  gb_site = site;
  gb_index_words = words;
}

// At the lane's end, so that the driver compiles it once. Launches run in parts, the lowest lanes first: a record counts only
// where no part before has one.
fn gb_record() {
  atomicAdd(&gb_out[1], 1u);
  if atomicMin(&gb_out[0], gb_lane) >= gb_p.base {
    let at = (gb_lane - gb_p.base) * 3u;
    gb_records[at] = gb_site; gb_records[at + 1u] = gb_index_words.x; gb_records[at + 2u] = gb_index_words.y;
  }
}
"""

PRINT = """fn gb_print(site: u32, words: u32) -> u32 {
  let most = arrayLength(&gb_prints);
  gb_printed += 1u;
  if atomicLoad(&gb_prints[0]) < most {
    let at = 2u + atomicAdd(&gb_prints[0], words);
    if at + words <= most {
      atomicStore(&gb_prints[at], gb_lane); atomicStore(&gb_prints[at + 1u], gb_printed);
      atomicStore(&gb_prints[at + 2u], site);
      return at;
    }
  }
  atomicAdd(&gb_prints[1], 1u);
  return 0u;
}
"""

VOTE = """var<workgroup> gb_votes: array<atomic<u32>, 2>;
var<private> gb_ballot: u32;

// Two words take turns: the one is cleared while nobody reads it.
fn gb_anyone(here: bool) -> bool {
  let other = 1u - gb_ballot;
  if here { atomicStore(&gb_votes[gb_ballot], 1u); }
  workgroupBarrier();
  let found = atomicLoad(&gb_votes[gb_ballot]) == 1u;
  if gb_local == 0u { atomicStore(&gb_votes[other], 0u); }
  workgroupBarrier();
  gb_ballot = other;
  return found;
}
"""
