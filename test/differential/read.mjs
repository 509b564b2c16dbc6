// What Node backends understand of bodies; see README.md of this directory for the lines that are read and printed.
// node: Buffer.toString as Express and raw-body do; node-text: as Response.text() and Request.json() do.
const byName = new Set(["tools/call", "prompts/get"]);
const byUri = new Set(["resources/read", "resources/subscribe", "resources/unsubscribe"]);
const byTask = new Set(["tasks/get", "tasks/cancel", "tasks/result", "tasks/update", "notifications/tasks/status"]);
const version = "io.modelcontextprotocol/protocolVersion";
const decoder = new TextDecoder("utf-8");

class Refused extends Error {}

function isMapping(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function string(holder, name) {
  if (typeof holder[name] !== "string") throw new Refused(`${name} is no string`);
  return holder[name];
}

function mapping(value, what) {
  if (!isMapping(value)) throw new Refused(`${what} is no object`);
  return value;
}

function strings(value) {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string")) throw new Refused("no list of strings");
  return value;
}

function readOperand(method, params) {
  if (byName.has(method)) return { name: string(params, "name") };
  if (byUri.has(method)) return { uri: string(params, "uri") };
  if (byTask.has(method)) return { taskId: string(params, "taskId") };
  if (method === "completion/complete") {
    const ref = mapping(params.ref, "ref");
    if (ref.type === "ref/prompt") return { type: ref.type, name: string(ref, "name") };
    if (ref.type === "ref/resource") return { type: ref.type, uri: string(ref, "uri") };
    throw new Refused("unknown ref");
  }
  if (method === "subscriptions/listen") {
    const { resourceSubscriptions, taskIds, ...others } = mapping(params.notifications, "notifications");
    return {
      resourceSubscriptions: strings(resourceSubscriptions),
      taskIds: strings(taskIds),
      more: Object.values(others).some(Boolean),
    };
  }
  return null;
}

function readId(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return "s" + value;
  if (typeof value !== "number") throw new Refused("id is neither string nor number");
  // Beyond 2^53 the value is not exact, and JavaScript knows no other.
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? "n" + BigInt(value) : "n~";
  return "f" + value;
}

function readMessage(message) {
  try {
    mapping(message, "message");
    if (message.jsonrpc !== "2.0") throw new Refused("not JSON-RPC 2.0");
    const id = readId(message.id);
    if (!("method" in message)) {
      if (!("result" in message) && !("error" in message)) throw new Refused("neither request nor response");
      return { id, method: null };
    }
    const method = string(message, "method");
    const params = mapping(message.params ?? {}, "params");
    const meta = mapping(params._meta ?? {}, "_meta");
    if (meta[version] !== undefined && meta[version] !== null) string(meta, version);
    return { id, method, operand: readOperand(method, params), version: meta[version] ?? null };
  } catch (e) {
    if (e instanceof Refused) return { error: e.message };
    throw e;
  }
}

function read(text) {
  let root;
  try {
    root = JSON.parse(text);
  } catch (e) {
    return { error: e.name };
  }
  const batch = Array.isArray(root);
  return { batch, messages: (batch ? root : [root]).map(readMessage) };
}

let left = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  left = Buffer.concat([left, chunk]);
  let at = 0;
  const lines = [];
  while (left.length - at >= 4 && left.length - at - 4 >= left.readUInt32BE(at)) {
    const end = at + 4 + left.readUInt32BE(at);
    const body = left.subarray(at + 4, end);
    lines.push(JSON.stringify({ node: read(body.toString("utf8")), "node-text": read(decoder.decode(body)) }) + "\n");
    at = end;
  }
  left = left.subarray(at);
  process.stdout.write(lines.join(""));
}
