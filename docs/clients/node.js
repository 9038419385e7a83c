// Glass Box from Node without any package: node node.js NAME OPERATION '{"argument": "value"}'. docs/protocol.md has every byte.
const fs = require('node:fs'), net = require('node:net'), os = require('node:os')
const [name, operation, given = '{}'] = process.argv.slice(2)
const base = process.env.XDG_RUNTIME_DIR
const folder = base?.startsWith('/') ? `${base}/glassbox` : `/tmp/glassbox-${os.userInfo().uid}`
const { control, protocol } = JSON.parse(fs.readFileSync(`${folder}/${name}.json`))
const request = JSON.stringify({ protocol, id: 1, operation, arguments: JSON.parse(given) })
const frame = (flags, body) => { // flags: 1 more frames follow, 2 the length has 8 bytes, 4 a command
  const head = Buffer.alloc(9, flags | 2)
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}
const socket = net.connect(control.replace('ipc://', ''))
socket.write(Buffer.alloc(64).fill(0xff, 0, 1).fill(0x7f, 9, 10).fill(3, 10, 11).fill('NULL', 12, 16))
socket.write(frame(4, Buffer.from('\x05READY\x0bSocket-Type\0\0\0\x06DEALER')))
let bytes = Buffer.alloc(0), at = 64, frames = [] // the daemon greets with 64 bytes too
socket.on('data', chunk => {
  bytes = Buffer.concat([bytes, chunk])
  while (bytes.length >= at + 9 || (bytes.length >= at + 2 && !(bytes[at] & 2))) {
    const flags = bytes[at], start = at + (flags & 2 ? 9 : 2)
    const end = start + (flags & 2 ? Number(bytes.readBigUInt64BE(at + 1)) : bytes[at + 1])
    if (bytes.length < end) return
    at = end
    if (flags & 4) { socket.write(frame(0, Buffer.from(request))); continue } // its READY: now it listens
    frames.push(bytes.subarray(start, end)) // {"frame": 1} in the JSON stands for the bytes of frames[1]
    if (flags & 1) continue
    const { ok, result, error, progress } = JSON.parse(frames.splice(0)[0]) // addresses are strings: no number is rounded
    if (!progress) { console.log(JSON.stringify(ok ? result : error)); process.exitCode = ok ? 0 : 1; socket.end() }
  }
})
