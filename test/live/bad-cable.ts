/** A cable that misbehaves: TCP from a free port to another one of this machine, which can be cut, go half dead, or hold
 *  everything back for a while. Promises that a byte is never changed, and that what it held back comes in order. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../packages/transport/test/free-port.ts';
import { sleep } from './wait.ts';

/** `drop`: both ends hear of it. `deaf-near`, `deaf-far`: one end hears of it, the other never. `delay`: bytes wait. */
export const FAULTS = ['drop', 'deaf-near', 'deaf-far', 'delay'] as const;
export type Fault = (typeof FAULTS)[number];

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class BadCable {
  /** Where the near end connects to. */
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Ends that are kept open and read nothing but silence. */
  readonly #deaf = new Set<Socket>();
  #isCut = false;
  #isHeld = false;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer((near) => {
      near.on('error', () => {});
      if (this.#isCut) near.destroy();
      else this.#join({ near, far: connect(target, '127.0.0.1') });
    });
  }

  static async between(target: number): Promise<BadCable> {
    const port = await freePort();
    const made = new BadCable(port, target);
    await new Promise<void>((resolve) => made.#server.listen(port, '127.0.0.1', resolve));
    return made;
  }

  #join(pair: Pair): void {
    this.#pairs.add(pair);
    const { near, far } = pair;
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.setNoDelay(true);
      one.on('error', () => {});
      one.on('data', (chunk) => {
        if (!this.#deaf.has(one)) other.write(chunk);
      });
      one.on('close', () => {
        this.#pairs.delete(pair);
        this.#deaf.delete(one);
        if (!this.#deaf.has(other)) other.destroy();
      });
      if (this.#isHeld) one.pause();
    }
  }

  /** One fault, for so long. Resolves when the cable is whole again; an end that went deaf stays so. */
  async suffer(fault: Fault, outage_ms: number): Promise<void> {
    if (fault === 'delay') return this.#delay(outage_ms);
    this.#isCut = true;
    for (const { near, far } of [...this.#pairs]) {
      if (fault === 'deaf-near') this.#deaf.add(near);
      if (fault === 'deaf-far') this.#deaf.add(far);
      if (fault !== 'deaf-near') near.destroy();
      if (fault !== 'deaf-far') far.destroy();
    }
    await sleep(outage_ms);
    this.#isCut = false;
  }

  async #delay(outage_ms: number): Promise<void> {
    this.#isHeld = true;
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
    await sleep(outage_ms);
    this.#isHeld = false;
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  close(): void {
    this.#isCut = true;
    for (const { near, far } of [...this.#pairs]) {
      near.destroy();
      far.destroy();
    }
    for (const socket of [...this.#deaf]) socket.destroy();
    this.#server.close();
  }
}
