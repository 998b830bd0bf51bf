/** A line between the two ends that a test can cut, silence in both directions without closing it, or slow down. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class WireProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** What new connections do. */
  #isSilent = false;
  #delayMs = 0;
  connections = 0;

  private constructor(port: number) {
    this.#server = createServer((near) => {
      this.connections++;
      const far = connect(port, '127.0.0.1');
      const pair = { near, far };
      this.#pairs.add(pair);
      this.#carry(near, far);
      this.#carry(far, near);
      for (const socket of [near, far]) {
        socket.setNoDelay(true);
        socket.on('error', () => {});
        socket.on('close', () => {
          // A line that has gone silent does not tell the other end either.
          if (!this.#silent.has(pair)) this.#end(pair);
        });
      }
    });
  }

  readonly #silent = new WeakSet<Pair>();

  static async open(port: number): Promise<WireProxy> {
    const proxy = new WireProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Break every connection. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  /** Half-open: both ends believe in a line that carries nothing any more. */
  silence(): void {
    for (const pair of this.#pairs) this.#silent.add(pair);
  }

  /** New connections carry nothing from their first byte. */
  silenceNew(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #carry(from: Socket, to: Socket): void {
    const isSilent = this.#isSilent;
    from.on('data', (chunk) => {
      const pair = [...this.#pairs].find(({ near, far }) => near === from || far === from);
      if (isSilent || pair === undefined || this.#silent.has(pair)) return;
      if (this.#delayMs === 0) to.write(chunk);
      else setTimeout(() => to.write(chunk), this.#delayMs);
    });
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }
}
