/** Files on the loopback, which browsers take for a secure context: Web Locks and IndexedDB are there. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import type { BundledFile } from './bundle.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
};

export interface Server {
  readonly url: string;
  /** What was asked for and is not there. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

/** `/` is `index.html`; without one, an empty page that loads `entry.js`. */
export async function serve(files: readonly BundledFile[]): Promise<Server> {
  const byPath = new Map(files.map(({ name, content }) => [`/${name}`, content]));
  const page =
    '<!doctype html><meta charset="utf-8"><title>test</title><script type="module" src="/entry.js"></script>';
  byPath.set('/', byPath.get('/index.html') ?? page);
  const missing: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    const content = byPath.get(path);
    // Browsers ask for it of themselves.
    if (path === '/favicon.ico') {
      response.writeHead(204).end();
      return;
    }
    if (content === undefined) {
      missing.push(path);
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { url: `http://127.0.0.1:${port}/`, missing, close };
}
