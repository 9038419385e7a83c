// Calls of the service. The token is in this tab's session storage: no cookie, so nothing is sent that we do not send.

const KEY = "glassbox-token";

/** Take the token out of the address, so that it is in no history and no bookmark. */
export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) setToken(found);
  if (location.hash.includes("token=")) history.replaceState(null, "", location.pathname);
}

export function setToken(text) {
  sessionStorage.setItem(KEY, text.trim());
}

export function getToken() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** An error of the service, with its kind and its status. */
export class ServiceError extends Error {
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export function headers() {
  const token = getToken();
  return token ? { authorization: `Bearer ${token}` } : {};
}

async function send(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, "Gone", "the service does not answer; is 'glassbox serve' still running?");
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: { kind: "Failed", message: answer.statusText } }));
  throw new ServiceError(answer.status, error.kind, error.message);
}

/** The result of a GET; `query` holds the arguments, lists as JSON. */
export async function get(path, query = {}) {
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  const pairs = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, text(value)]));
  return (await send(`${path}${pairs.size ? `?${pairs}` : ""}`)).json();
}

/** The result of a POST of JSON. */
export async function post(path, body = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await send(path, options)).json();
}

/** Tell `take` each event of a machine until `signal` is given or the machine ends. */
export async function followEvents(machine, take, signal) {
  const answer = await send(`api/machines/${encodeURIComponent(machine)}/events`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) take(JSON.parse(data.slice(6)));
    }
  }
}

/** A WebSocket to the live picture of machines; browsers cannot set headers there, so the token is a subprotocol. */
export function openLive([machine, ...beside]) {
  const address = new URL(`api/machines/${encodeURIComponent(machine)}/live`, location.href);
  if (beside.length) address.searchParams.set("beside", JSON.stringify(beside));
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.hash = "";
  const token = getToken();
  return new WebSocket(address, token ? ["glassbox", `glassbox.token.${token}`] : ["glassbox"]);
}
