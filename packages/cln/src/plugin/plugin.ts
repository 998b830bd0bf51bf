/**
 * `countersign-cln-plugin`: tells the signer of every 32-byte value, and of those that may be preimages before lightningd lets the
 * state advance. lightningd waits for the answer of each write and ends over any but "continue", so that is the answer, unless the hsmd
 * is gone and lightningd with it.
 */
import { resolve } from 'node:path';
import { Delivery, type DeliveryOptions } from './delivery.ts';
import { KnownHashes } from './hashes.ts';
import {
  continueText,
  dbWriteId,
  errorText,
  logText,
  member,
  parseRequest,
  RpcReader,
  type RpcRequest,
  resultText,
  STOP,
} from './json-rpc.ts';
import { hashesUnderWay } from './lightning-rpc.ts';
import { valuesOf } from './literals.ts';

export const SOCKET_OPTION = 'countersign-socket';

export interface PluginOptions {
  /** The signer's socket of the node side, unless the option names another; lightningd's directory is the working one. */
  readonly socketPath: string;
  readonly write: (text: string) => void;
  readonly waitMs?: number;
  readonly patienceMs?: number;
  /** Values that are remembered as hashes of later ones. */
  readonly hashesMax?: number;
}

const CONTINUE = { result: 'continue' };

export class Plugin {
  readonly #options: PluginOptions;
  readonly #reader = new RpcReader();
  readonly #delivery: Delivery;
  readonly #hashes: KnownHashes;
  /** lightningd's own socket, once it has said where that is. */
  #rpcPath: string | null = null;

  constructor(options: PluginOptions) {
    this.#options = options;
    this.#hashes = new KnownHashes(options.hashesMax);
    const delivery: DeliveryOptions = {
      socketPath: options.socketPath,
      log: (level, text) => options.write(logText(level, text)),
      ...(options.waitMs !== undefined && { waitMs: options.waitMs }),
      ...(options.patienceMs !== undefined && { patienceMs: options.patienceMs }),
    };
    this.#delivery = new Delivery(delivery);
  }

  /** A chunk of stdin. */
  receive(chunk: Buffer): void {
    for (const text of this.#reader.push(chunk)) this.#take(text);
  }

  close(): void {
    this.#delivery.close();
  }

  /** lightningd does nothing until a write is answered, some 13 times for each payment: where nothing is waited for, at once. */
  #take(text: string): void {
    const id = dbWriteId(text);
    if (id === undefined) return void this.#serve(text);
    const answer = continueText(id);
    const taken = this.#takeWrites([text]);
    if (taken === null) this.#options.write(answer);
    else void taken.then((goesOn) => this.#options.write(goesOn ? answer : resultText(JSON.parse(id), STOP)));
  }

  async #serve(text: string): Promise<void> {
    const request = parseRequest(text);
    if (request === undefined) {
      this.#options.write(logText('error', 'lightningd sent what is no request'));
      return;
    }
    if (request.id === undefined) return;
    const result = await this.#answer(request);
    const { id } = request;
    this.#options.write(
      result === undefined
        ? errorText(id, 'countersign-cln-plugin has no such method')
        : resultText(id, result),
    );
  }

  /** Undefined: not ours to answer. Nothing in here throws: lightningd would end over it. */
  async #answer({ method, params }: RpcRequest): Promise<object | undefined> {
    switch (method) {
      case 'getmanifest':
        return MANIFEST;
      case 'init':
        this.#init(params);
        return {};
      case 'db_write':
        return (await this.#takeWrites(statementsOf(params))) === false ? STOP : CONTINUE;
      default:
        return undefined;
    }
  }

  /** Null: lightningd need not wait. False: it must not write this. What is returned never rejects. */
  #takeWrites(statements: readonly string[]): Promise<boolean> | null {
    try {
      const values = valuesOf(statements);
      this.#delivery.written(values);
      const urgent = this.#hashes.urgentOf(values).filter((value) => !this.#delivery.hasLearned(value));
      if (this.#hashes.takeDue()) void this.#complete();
      if (urgent.length > 0 || !this.#delivery.isGreeted)
        return this.#delivery.deliver(values, urgent).catch((error: unknown) => this.#bug(error));
      this.#delivery.deliverSoon(values);
    } catch (error) {
      this.#bug(error);
    }
    return null;
  }

  #bug(error: unknown): true {
    this.#options.write(
      logText('error', `a bug of countersign-cln-plugin, please report it: ${String(error)}`),
    );
    return true;
  }

  #init(params: unknown): void {
    const named = member(member(params, 'options'), SOCKET_OPTION);
    if (typeof named === 'string' && named !== '') this.#delivery.moveTo(named);
    // The signer hears that preimages are delivered before there is one.
    void this.#delivery.deliver([]);
    const configuration = member(params, 'configuration');
    const [directory, file] = [member(configuration, 'lightning-dir'), member(configuration, 'rpc-file')];
    if (typeof directory !== 'string' || typeof file !== 'string') return;
    this.#rpcPath = resolve(directory, file);
    void this.#complete();
  }

  /** Without it every value is waited for, as before. */
  async #complete(): Promise<void> {
    if (this.#rpcPath === null) return;
    const { mark } = this.#hashes;
    try {
      this.#hashes.complete(await hashesUnderWay(this.#rpcPath), mark);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.write(logText('info', `lightningd waits for every value: ${reason}`));
    }
  }
}

function statementsOf(params: unknown): readonly string[] {
  const writes = member(params, 'writes');
  return Array.isArray(writes) ? writes.filter((one) => typeof one === 'string') : [];
}

const MANIFEST = {
  options: [
    {
      name: SOCKET_OPTION,
      type: 'string',
      description: "Countersign's socket for the node side (default: node.sock in its state directory)",
    },
  ],
  rpcmethods: [],
  subscriptions: [],
  hooks: [{ name: 'db_write' }],
  // lightningd allows the hook only to plugins that are there from the start.
  dynamic: false,
  nonnumericids: true,
};
