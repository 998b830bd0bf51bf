/** The small part of lightningd's plugin protocol that the live suite's own plugins need: JSON-RPC on stdin and stdout.
 *  Promises that every request is answered once, and that the process ends with lightningd (end of stdin). */
import type { JsonValue } from './json-value.ts';

export type Params = { [name: string]: JsonValue } | JsonValue[];
export type Handler = (params: Params) => Promise<JsonValue>;

export interface PluginOption {
  readonly name: string;
  readonly default: string;
  readonly description: string;
}

export interface PluginParts {
  readonly options: PluginOption[];
  readonly methods: { [name: string]: Handler };
  readonly hooks: { [name: string]: Handler };
  readonly start: (options: Map<string, string>) => void;
}

function asObject(value: JsonValue | undefined): { [key: string]: JsonValue } {
  return value !== undefined && value !== null && typeof value === 'object' && !Array.isArray(value)
    ? value
    : {};
}

function manifest(parts: PluginParts): JsonValue {
  return {
    dynamic: false,
    nonnumericids: true,
    options: parts.options.map((option) => ({ ...option, type: 'string' })),
    rpcmethods: Object.keys(parts.methods).map((name) => ({
      name,
      usage: '[args]',
      description: 'live suite',
    })),
    hooks: Object.keys(parts.hooks).map((name) => ({ name })),
    subscriptions: [],
  };
}

async function answer(parts: PluginParts, method: string, params: Params): Promise<JsonValue> {
  if (method === 'getmanifest') return manifest(parts);
  if (method === 'init') {
    const given = asObject(asObject(Array.isArray(params) ? undefined : params).options);
    parts.start(new Map(Object.entries(given).map(([name, value]) => [name, String(value)])));
    return {};
  }
  const handler = parts.methods[method] ?? parts.hooks[method];
  if (handler === undefined) return {};
  return handler(params);
}

/** Runs the plugin until stdin ends. */
export function runPlugin(parts: PluginParts): void {
  let text = '';
  const onRequest = async (line: string): Promise<void> => {
    const message = asObject(JSON.parse(line) as JsonValue);
    const id = message.id;
    const method = String(message.method);
    const params = (message.params ?? {}) as Params;
    if (id === undefined) return;
    let reply: JsonValue;
    try {
      reply = { jsonrpc: '2.0', id, result: await answer(parts, method, params) };
    } catch (error) {
      reply = { jsonrpc: '2.0', id, error: { code: -32000, message: String(error) } };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n\n`);
  };
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (part: string) => {
    text += part;
    // lightningd separates messages by an empty line.
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (line.trim() !== '') void onRequest(line);
    }
  });
  process.stdin.on('end', () => process.exit(0));
}

/** The parameter by name or by position. */
export function param(params: Params, name: string, position: number): JsonValue {
  return (Array.isArray(params) ? params[position] : params[name]) ?? null;
}
