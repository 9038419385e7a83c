// Prints the commands of one file of the specification's testsuite, as JSON, a line each: node record.mjs FILE.wast.js
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

const say = (command) => console.log(JSON.stringify(command, (_, each) => (typeof each === "bigint" ? `${each}` : each)));
let instances = 0;
const hex = (bytes) => Array.from(bytes, (each) => (each & 255).toString(16).padStart(2, "0")).join("");
const number = (type, array) => ({ type, bytes: hex(new Uint8Array(array.buffer)) });
const arrays = { i32: Int32Array, i64: BigInt64Array, f32: Float32Array, f64: Float64Array };

globalThis.bytes = (type, given) => ({ type, bytes: hex(given) });
globalThis.value = (type, given) => (type in arrays ? number(type, arrays[type].of(given)) : { type });
for (const name of ["i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"]) globalThis[name] = () => ({ type: "v128" });
globalThis.either = (...of) => ({ either: of.map(expected) });
globalThis.F32x4Pattern = globalThis.F64x2Pattern = class { type = "v128"; };
globalThis.ExternRefResult = globalThis.HostRefResult = class { type = "externref"; };
globalThis.wasmMultiMemoryEnabled = () => false;
globalThis.externref = () => ({ type: "externref" });
globalThis.hostref = () => ({ type: "anyref" });
globalThis.instantiate = (source) => ({ source, number: instances++ });
globalThis.invoke = (of, name, given) => ({ invoke: name, of: of?.number ?? of, given: given.map(plain) });
globalThis.get = (of, name) => ({ get: name, of: of?.number ?? of });

function plain(given) {
  if (typeof given === "number") return { type: "i32", bytes: hex(new Uint8Array(Int32Array.of(given).buffer)) };
  if (typeof given === "bigint") return { type: "i64", bytes: hex(new Uint8Array(BigInt64Array.of(given).buffer)) };
  return given ?? { type: "null" };
}
const expected = (each) => (typeof each === "string" ? { nan: each } : plain(each));

function does(thunk) {
  const found = thunk();
  if (found && "source" in found) say({ command: "module", ...found });
  return found;
}
for (const name of ["assert_trap", "assert_exhaustion", "assert_invalid", "assert_malformed", "assert_unlinkable"])
  globalThis[name] = (thunk, message) => say({ command: name, does: thunk(), message });
globalThis.assert_return = (thunk, results) => say({ command: "assert_return", does: thunk(), results: results.map(expected) });
globalThis.register = (of, name) => say({ command: "register", of: of?.number ?? of, name });

let text = readFileSync(process.argv[2], "utf8");
const make = globalThis.instantiate;
globalThis.instantiate_now = (source) => { const made = make(source); say({ command: "module", ...made }); return made; };
globalThis.invoke_now = (...given) => say({ command: "invoke", does: globalThis.invoke(...given) });
// What stands at the beginning of a line is done at once; what stands in a thunk is what an assertion is about.
text = text.replace(/^((?:let \S+ = )?)instantiate\(/gm, "$1instantiate_now(").replace(/^invoke\(/gm, "invoke_now(");
runInThisContext(text, { filename: process.argv[2] });
