// What stands over several machines in the live picture: their names, and arcs of what they send each other.

const SVG = "http://www.w3.org/2000/svg";
const GAP = 3;
const HEAD = 8;
const ALONG = [0.5, 0.38, 0.62, 0.26, 0.74];

/** Draw `cubes` and `arcs` of a message into `layer`, an element as large as the picture. */
export function drawSeveral(layer, { cubes, arcs }) {
  const area = { width: layer.clientWidth, height: layer.clientHeight };
  const lines = document.createElementNS(SVG, "svg");
  layer.replaceChildren(lines);
  lines.setAttribute("viewBox", `0 0 ${area.width} ${area.height}`);
  const taken = cubes.map((cube) => putName(layer, cube, area));
  // The strongest come last, and choose first where their words stand.
  for (const arc of arcs) lines.append(...drawArc(arc, area));
  // The heads of arrows say who receives: they stay free.
  for (const { path } of arcs) {
    const [x, y] = [path.at(-1)[0] * area.width, path.at(-1)[1] * area.height];
    taken.push({ left: x - HEAD, top: y - HEAD, right: x + HEAD, bottom: y + HEAD });
  }
  for (const arc of arcs.toReversed()) putWords(layer, arc, area, taken);
}

function putName(layer, { name, x, y, is_active, is_ended }, area) {
  const label = layer.appendChild(document.createElement("span"));
  label.className = is_active ? "name active" : "name";
  label.textContent = is_ended ? `${name} (ended)` : name;
  return stand(label, { x: x * area.width, y: y * area.height - label.offsetHeight / 2 - 2 }, area);
}

function drawArc({ path, strength, width }, area) {
  const points = path.map(([x, y]) => [x * area.width, y * area.height]);
  const scale = Math.max(area.height / 720, 0.6);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.map((point) => point.join()).join(" "));
  line.setAttribute("stroke-width", width * scale);
  const head = document.createElementNS(SVG, "polygon");
  const [[x, y], [before, above]] = [points.at(-1), points.at(-3)];
  const length = Math.hypot(x - before, y - above) || 1;
  const size = 5 + (5 + 2.5 * width) * scale;
  const [right, down] = [((x - before) / length) * size, ((y - above) / length) * size];
  const corners = [[x, y], [x - right - 0.45 * down, y - down + 0.45 * right], [x - right + 0.45 * down, y - down - 0.45 * right]];
  head.setAttribute("points", corners.map((point) => point.join()).join(" "));
  for (const part of [line, head]) part.style.opacity = strength;
  return [line, head];
}

// All words where they cover nothing, else the first line, else none: the line itself still says that there is something.
function putWords(layer, { path, words, strength, is_below }, area, taken) {
  const label = layer.appendChild(document.createElement("span"));
  label.className = "arc";
  label.style.setProperty("--strength", strength);
  for (const count of words.length > 1 ? [words.length, 1] : [1]) {
    label.replaceChildren(...words.slice(0, count).map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    if (label.offsetHeight > area.height - 2 * GAP) continue;
    for (const place of placesOf(path, label.offsetHeight, is_below, area)) {
      const box = boxOf(label, place, area);
      if (taken.some((other) => covers(box, other))) continue;
      taken.push(stand(label, place, area));
      return;
    }
  }
  label.remove();
}

// Beside the line: on its own side, on the other one, and then higher and higher, where nothing is drawn.
function* placesOf(path, height, is_below, area) {
  const own = is_below ? 1 : -1;
  for (const [side, step] of [[own, 0], [-own, 0], [-1, 1], [-1, 2], [-1, 3], [1, 1]]) {
    for (const share of ALONG) {
      const [x, y] = path[Math.round(share * (path.length - 1))];
      yield { x: x * area.width, y: y * area.height + side * (8 + height / 2 + step * (height + GAP)) };
    }
  }
}

function boxOf(label, { x, y }, area) {
  const [width, height] = [label.offsetWidth, label.offsetHeight];
  const left = Math.max(Math.min(x - width / 2, area.width - width - GAP), GAP);
  const top = Math.max(Math.min(y - height / 2, area.height - height - GAP), GAP);
  return { left, top, right: left + width, bottom: top + height };
}

function stand(label, place, area) {
  const box = boxOf(label, place, area);
  label.style.left = `${box.left}px`;
  label.style.top = `${box.top}px`;
  return box;
}

function covers(one, other) {
  return one.left < other.right + GAP && other.left < one.right + GAP && one.top < other.bottom + GAP && other.top < one.bottom + GAP;
}
