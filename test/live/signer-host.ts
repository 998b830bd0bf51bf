/** A signer apart from its node: host's signer behind a link that it dials itself, in the directory given, where `countersign.toml`
 *  and `hsm_secret` lie. Promises to end in order at SIGTERM, and nothing of a daemon beyond that. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { type ClientIdentity, malformedRefusal, type Refusal } from '@countersign/core';
import {
  type Beside,
  type FeedSession,
  initReply,
  negotiateVersion,
  openBeside,
  parseConfig,
  type Started,
  startInPlace,
} from '@countersign/host';
import { type LinkAnswer, PinStore, type RequestHandler, SignerSideLink } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply } from '@countersign/wire';
import { NODE_NAME, signerFiles } from './pairing.ts';

const [directory = '.', port = '0'] = process.argv.slice(2);
process.chdir(directory);

const config = parseConfig(readFileSync('countersign.toml', 'utf8'), 'countersign.toml');
const place = {
  config,
  secp: loadSecp256k1(),
  randomBytes: (count: number) => Uint8Array.from(randomBytes(count)),
  monotonicMs: () => performance.now(),
  nowSeconds: () => Math.floor(Date.now() / 1000),
  log: (level: string, text: string) => console.log(`${level} ${text}`),
};

function end(error: unknown): never {
  console.log(`bug ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(1);
}

const replied = (reply: Reply): LinkAnswer => ({ kind: 'reply', body: encodeMessage(reply) });

function refused(refusal: Refusal, auditId: number | null): LinkAnswer {
  const { code, tag, request, channel, message: text, temporary, facts } = refusal;
  return { kind: 'refused', refusal: { code, tag, request, channel, text, temporary, auditId, facts } };
}

type SecretType = Parameters<typeof initReply>[0]['hsmSecretType'];

function isSecretType(value: number | undefined): value is SecretType {
  return value !== undefined && value >= 0 && value <= 3;
}

class Host implements RequestHandler {
  #preinit: MessageOf<'hsmd_dev_preinit'> | null = null;
  #opened: { readonly started: Started; readonly beside: Beside; readonly reply: Reply } | null = null;
  #isInitialized = false;
  readonly #feeds = new Map<number, FeedSession>();

  async ask(
    { peerId, dbid, permissions }: Parameters<RequestHandler['ask']>[0],
    body: Uint8Array,
  ): Promise<LinkAnswer> {
    const decoded = decodeMessage(body, 'request');
    if (!decoded.ok || decoded.message.name === 'unknown')
      return refused(malformedRefusal('unknown', null, 'no request', {}), null);
    const { message } = decoded;
    if (message.name === 'hsmd_dev_preinit') {
      this.#preinit = message;
      return { kind: 'reply', body: new Uint8Array(0) };
    }
    if (message.name === 'hsmd_init') return this.#init(message);
    if (this.#opened === null || !this.#isInitialized)
      return refused(
        { ...malformedRefusal(message.name, null, 'no INIT', {}), code: 'not-initialized' },
        null,
      );
    const client: ClientIdentity = {
      channel: peerId === null || dbid === 0n ? null : { peerId, dbid },
      permissions,
    };
    const answer = await this.#opened.started.signer.answer(client, message);
    return answer.kind === 'reply' ? replied(answer.reply) : refused(answer.refusal, answer.id);
  }

  async #init(init: MessageOf<'hsmd_init'>): Promise<LinkAnswer> {
    const protocolVersion = negotiateVersion(init) ?? 0;
    const preinit = this.#preinit;
    this.#preinit = null;
    this.#opened ??= await this.#open(init, preinit, protocolVersion);
    if (this.#opened === null)
      return refused(malformedRefusal(init.name, null, 'it does not start', {}), null);
    const { started, reply } = this.#opened;
    const failPreapprovals = preinit?.tlvs.failPreapprove ?? false;
    started.signer.negotiate({ protocolVersion, failPreapprovals });
    this.#isInitialized = true;
    if (reply.name !== 'hsmd_init_reply_v4') throw new TypeError('no reply to INIT');
    const { hsmSecretType } = reply.tlvs;
    if (!isSecretType(hsmSecretType)) throw new TypeError('no type of secret');
    return replied(initReply({ ring: started.ring, hsmSecretType, preinit, protocolVersion }));
  }

  async #open(init: MessageOf<'hsmd_init'>, preinit: MessageOf<'hsmd_dev_preinit'> | null, version: number) {
    const started = await startInPlace({ ...place, init, preinit }, version);
    if (!started.ok) {
      console.log(`broken ${started.errorMessage}`);
      return null;
    }
    const beside = await openBeside({
      ...place,
      opened: started,
      nodeSide: 'link',
      random: Math.random,
      onProblem: (text) => console.log(`problem ${text}`),
      onBug: end,
    });
    return { started, beside, reply: started.reply };
  }

  async feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    if (this.#opened === null) return refused(malformedRefusal('unknown', null, 'no INIT', {}), null);
    const open = this.#feeds.get(session) ?? this.#opened.beside.feed.open();
    this.#feeds.set(session, open);
    const { reply } = await open.answer(body);
    return replied(reply);
  }

  feedEnded(session: number): void {
    this.#feeds.get(session)?.close();
    this.#feeds.delete(session);
  }

  async close(): Promise<void> {
    if (this.#opened === null) return;
    const { started, beside } = this.#opened;
    await beside.close();
    started.signer.end();
    await started.journal.close();
  }
}

const host = new Host();
const files = signerFiles(join(config.stateDirectory, '..', 'link'));
const link = SignerSideLink.dial({
  dial: {
    kind: 'tcp',
    host: '127.0.0.1',
    port: Number(port),
    identityPath: files.identity,
    pins: PinStore.open(files.pins),
    node: NODE_NAME,
  },
  handler: host,
  onBug: end,
  log: ({ level, text }) => console.log(`${level} ${new Date().toISOString()} ${text}`),
});
process.on('SIGTERM', async () => {
  link.close();
  await host.close();
  process.exit(0);
});
// The clock of the link keeps no process alive.
setInterval(() => {}, 60_000);
