// The live picture on a canvas: pointer and keys become commands, JPEG pictures are drawn as they come.

import { openLive } from "./service.js";
import { drawSeveral } from "./several.js";

const MOST_SIDE = 2560;
const CLICK_PIXELS = 5;
const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
// How far a press of Shift and an arrow key drags, in heights of the picture.
const STEPS = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] };

export class LivePicture {
  /** `on` has functions for messages by their name: ready, picked, legend, problem; and `end`. */
  constructor(canvas, words, over, on) {
    this.canvas = canvas;
    this.words = words;
    this.over = over;
    this.on = on;
    this.pen = canvas.getContext("2d");
    this.machines = [];
    this.view = "";
    this.pictures = 0;
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    document.addEventListener("visibilitychange", () => this.#followVisibility());
  }

  /** Show `machines` side by side, looked at as the text of a `view` says; nothing for none. */
  show(machines, view = "") {
    this.machines = machines;
    this.view = view;
    this.#open();
  }

  send(command) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
  }

  #open() {
    this.#close();
    this.words.replaceChildren();
    this.over.replaceChildren();
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.dataset.state = "waiting";
    if (!this.machines.length || document.hidden) return;
    const socket = (this.socket = openLive(this.machines));
    socket.binaryType = "blob";
    this.isTold = false;
    socket.onopen = () => {
      this.#resize();
      if (this.view) this.send({ do: "look", view: this.view });
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#hear(JSON.parse(data)) : this.#draw(socket, data));
    socket.onclose = () => {
      // Who was told why keeps reading that.
      if (this.socket === socket && !this.isTold) this.on.end();
    };
  }

  #close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  // Nobody looks at a tab in the background: the process that draws ends, and the view comes back with the tab.
  #followVisibility() {
    if (document.hidden) this.#close();
    else if (!this.socket) this.#open();
  }

  #resize() {
    const scale = Math.min(devicePixelRatio, MOST_SIDE / Math.max(this.canvas.clientWidth, this.canvas.clientHeight, 1));
    const side = (length) => Math.max(Math.round(length * scale), 64);
    this.send({ do: "resize", width: side(this.canvas.clientWidth), height: side(this.canvas.clientHeight) });
  }

  async #draw(socket, blob) {
    const picture = await createImageBitmap(blob);
    if (this.socket !== socket) return;
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      this.canvas.width = picture.width;
      this.canvas.height = picture.height;
    }
    this.pen.drawImage(picture, 0, 0);
    picture.close();
    this.canvas.dataset.state = "live";
    this.canvas.dataset.pictures = ++this.pictures;
    this.send({ do: "drawn" });
  }

  #hear(message) {
    if (message.say === "problem" && message.is_end) this.isTold = true;
    if (message.say === "words") this.#place(message.words);
    if (message.say === "several") drawSeveral(this.over, message);
    if (message.say === "legend") this.view = message.view;
    this.on[message.say]?.(message);
  }

  // Larger things first; a name that would cover another is left out.
  #place(words) {
    this.words.replaceChildren();
    const taken = [];
    const area = this.words.getBoundingClientRect();
    for (const word of [...words].sort((one, other) => other.size - one.size)) {
      const label = document.createElement("span");
      label.textContent = word.text;
      label.style.borderColor = word.colour;
      this.words.append(label);
      const half = label.offsetWidth / 2 + 4;
      label.style.left = `${100 * Math.min(Math.max(word.x, half / area.width), 1 - half / area.width)}%`;
      label.style.top = `${100 * word.y}%`;
      const box = label.getBoundingClientRect();
      const covers = (other) => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
      if (taken.some(covers)) label.remove();
      else taken.push(box);
    }
  }

  #where(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (value) => Math.min(Math.max(value, 0), 1);
    return { x: share((event.clientX - box.left) / box.width), y: share((event.clientY - box.top) / box.height) };
  }

  #listen() {
    const canvas = this.canvas;
    const pointers = new Map();
    let far = 0;
    let apart = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      if (pointers.size === 1) far = 0;
      apart = 0;
      canvas.classList.add("dragging");
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const [x, y] = [event.clientX - before.clientX, event.clientY - before.clientY];
      pointers.set(event.pointerId, event);
      far += Math.abs(x) + Math.abs(y);
      if (pointers.size === 2) {
        const [one, other] = [...pointers.values()];
        const now = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        if (apart) this.send({ do: "wheel", steps: Math.log(now / apart) / Math.log(1 / 0.9) });
        apart = now;
      } else if (far > CLICK_PIXELS) {
        const height = canvas.clientHeight;
        this.send({ do: "drag", right: x / height, down: y / height, is_pan: event.shiftKey || (event.buttons & 6) !== 0 });
      }
    });
    const lift = (event) => {
      if (pointers.delete(event.pointerId) && event.type === "pointerup" && far <= CLICK_PIXELS && !pointers.size) {
        this.send({ do: "pick", ...this.#where(event) });
      }
      if (!pointers.size) canvas.classList.remove("dragging");
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? 33 * event.deltaY : event.deltaY;
      this.send({ do: "wheel", steps: -Math.min(Math.max(pixels / 100, -10), 10), ...this.#where(event) });
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("keyup", (event) => {
      if (ARROWS.includes(event.key)) this.send({ do: "hold", key: event.key, is_down: false });
    });
    canvas.addEventListener("blur", () => ARROWS.forEach((key) => this.send({ do: "hold", key, is_down: false })));
  }

  #press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.shiftKey && event.key in STEPS) {
      const [right, down] = STEPS[event.key];
      this.send({ do: "drag", right, down, is_pan: true });
    } else if (ARROWS.includes(event.key)) {
      if (!event.repeat) this.send({ do: "hold", key: event.key, is_down: true });
    } else if (event.key === "+" || event.key === "=") this.send({ do: "wheel", steps: 2 });
    else if (event.key === "-") this.send({ do: "wheel", steps: -2 });
    else if (event.key === "Enter") this.send({ do: "pick", x: 0.5, y: 0.5 });
    else if (event.key === "Escape") this.send({ do: "select", ram_offset: null });
    else if (event.key === "h" || event.key === "Home") this.send({ do: "home" });
    else return;
    event.preventDefault();
  }
}
