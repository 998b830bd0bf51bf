/** A cable that can be pulled: TCP from a free port to another one of this machine, on or off. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../packages/transport/test/free-port.ts';

export class Switch {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isOn = true;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer((near) => {
      if (!this.#isOn) {
        near.destroy();
        return;
      }
      const far = connect(target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  static async between(target: number): Promise<Switch> {
    const port = await freePort();
    const made = new Switch(port, target);
    await new Promise<void>((resolve) => made.#server.listen(port, '127.0.0.1', resolve));
    return made;
  }

  /** Connections break, and new ones are closed at once. */
  off(): void {
    this.#isOn = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  on(): void {
    this.#isOn = true;
  }

  close(): void {
    this.off();
    this.#server.close();
  }
}
