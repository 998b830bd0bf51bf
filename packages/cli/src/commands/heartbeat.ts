/**
 * `countersign heartbeat`: the signed sign of life of the running signer, its verification with the node id only, and the monitor
 * that raises an alarm when it is missing or bad.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, loadSecp256k1 } from '@countersign/bitcoin';
import { type Heartbeat, verifyHeartbeat } from '@countersign/core';
import { type Command, InvalidArgumentError } from 'commander';
import { addSignerOptions, positiveInteger, print, type SignerFlags, socketPath } from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import { postJson } from '../heartbeat/http.ts';
import { HeartbeatJudge, LAG_MAX_BLOCKS_DEFAULT } from '../heartbeat/judge.ts';
import { Monitor, type WatchEvent } from '../heartbeat/monitor.ts';
import { Remembered } from '../heartbeat/remembered.ts';
import { heartbeatLines } from '../heartbeat/render.ts';
import {
  fromFile,
  fromSigner,
  fromStream,
  fromUrl,
  type ReadHeartbeat,
  reading,
} from '../heartbeat/sources.ts';
import { deliver, Webhook } from '../heartbeat/webhook.ts';
import { moment, printable } from '../terminal.ts';

const MAX_AGE_SECONDS_DEFAULT = 120;
const FUTURE_MAX_SECONDS_DEFAULT = 60;
const EVERY_SECONDS_DEFAULT = 30;
/** With --once: so many tries, and so many seconds between the first and the last. */
const ONCE_TRIES = 4;

const WATCH_HELP = `
Reads from the running signer (--socket, --state-directory), a file or a URL; only one of them. It is an alarm when the
heartbeat cannot be read or verified, is another node's, is older than one seen before, is too old or from the future, lags
behind the chain, or holds a critical alarm or deadline.

Exit status with --once: 0 the signer is well, 1 it is not. Without: it runs until SIGTERM or SIGINT.

Examples:
  countersign heartbeat watch --node-id 02ab… --file /srv/heartbeat.json --remember /var/lib/watch/newest --once
  countersign heartbeat watch --node-id 02ab… --url https://node.example/heartbeat.json --webhook https://alerts.example/x`;

export function addHeartbeatCommand(program: Command): void {
  const heartbeat = addSignerOptions(
    program
      .command('heartbeat')
      .summary('the signed sign of life: show it, verify it, watch it')
      .description(
        'Ask the running signer for a signed heartbeat and show it. --json prints the signed text.',
      ),
  ).action(show);
  heartbeat
    .command('verify')
    .description('Verify a heartbeat with the node id and nothing else. Exit status 0: valid, 1: not.')
    .argument('<file>', 'the signed text; - for standard input')
    .requiredOption('--node-id <hex>', 'the node it has to be of, 66 hex digits', nodeIdOf)
    .option('--max-age <seconds>', 'an older one is not valid either', positiveInteger)
    .action(verify);
  addSignerOptions(
    heartbeat
      .command('watch')
      .summary('raise an alarm when it goes stale or bad')
      .description('Watch the heartbeat, from any machine.')
      .addHelpText('after', WATCH_HELP)
      .requiredOption('--node-id <hex>', 'the node it has to be of, 66 hex digits', nodeIdOf)
      .option('--file <path>', 'read it from a file')
      .option('--url <url>', 'read it from an http or https URL', urlOf)
      .option('--max-age <seconds>', 'an older one is an alarm', positiveInteger, MAX_AGE_SECONDS_DEFAULT)
      .option(
        '--future-max <seconds>',
        'so far may its clock be ahead',
        positiveInteger,
        FUTURE_MAX_SECONDS_DEFAULT,
      )
      .option(
        '--lag-max <blocks>',
        `more blocks not proven yet are an alarm, and so is a signer that follows no chain (default: ${LAG_MAX_BLOCKS_DEFAULT}, if it follows one)`,
        positiveInteger,
      )
      .option('--every <seconds>', 'how often to look', positiveInteger, EVERY_SECONDS_DEFAULT)
      .option('--webhook <url>', 'post alarms and recoveries there as JSON', urlOf)
      .option(
        '--remember <path>',
        'keep the newest heartbeat in this file, so that older ones are known after a restart',
      )
      .option('--once', 'look once, and end'),
  ).action(watch);
}

function nodeIdOf(text: string): Uint8Array {
  if (!/^0[23][0-9a-fA-F]{64}$/.test(text) || !loadSecp256k1().isPublicKey(fromHex(text)))
    throw new InvalidArgumentError('Give a node id: 66 hex digits, as "lightning-cli getinfo" prints it.');
  return fromHex(text);
}

function urlOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new InvalidArgumentError('Give a URL that begins with http:// or https://.');
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('A URL with a user or a password in it is not supported.');
  return url;
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

async function show(flags: SignerFlags): Promise<void> {
  const text = await fromSigner(socketPath(flags))();
  if (flags.json === true) {
    process.stdout.write(text);
    return;
  }
  print(heartbeatLines(ofItsNode(text), nowSeconds()));
}

/** Whoever answers at the socket is the signer: its own word for whose heartbeat it is. */
function ofItsNode(text: string): Heartbeat {
  const named = /"nodeId":"(0[23][0-9a-f]{64})"/.exec(text)?.[1] ?? '';
  const verdict = verifyHeartbeat(loadSecp256k1(), text, fromHex(named));
  if (verdict.ok) return verdict.heartbeat;
  throw new CommandError(
    'signer-answer',
    `the heartbeat does not verify: ${verdict.message}`,
    'Use the countersign command that came with the running signer.',
  );
}

interface VerifyFlags {
  readonly nodeId: Uint8Array;
  readonly maxAge?: number;
}

async function verify(file: string, { nodeId, maxAge }: VerifyFlags): Promise<void> {
  const read = await reading(file === '-' ? fromStream(process.stdin) : fromFile(file));
  if (!read.ok) return invalid(`cannot read it: ${read.message}`);
  const verdict = verifyHeartbeat(loadSecp256k1(), read.text, nodeId);
  if (!verdict.ok) return invalid(verdict.message);
  const ageSeconds = nowSeconds() - verdict.heartbeat.timeSeconds;
  if (maxAge !== undefined && Math.abs(ageSeconds) > maxAge) {
    return invalid(
      ageSeconds > 0
        ? `it is ${ageSeconds} s old, at most ${maxAge} s are allowed`
        : `it is ${-ageSeconds} s from the future, at most ${maxAge} s are allowed`,
    );
  }
  print(['Valid.', ...heartbeatLines(verdict.heartbeat, nowSeconds())]);
}

function invalid(reason: string): void {
  print([`Not valid: ${printable(reason)}`]);
  process.exitCode = 1;
}

interface WatchFlags extends SignerFlags {
  readonly nodeId: Uint8Array;
  readonly file?: string;
  readonly url?: URL;
  readonly maxAge: number;
  readonly futureMax: number;
  readonly lagMax?: number;
  readonly every: number;
  readonly webhook?: URL;
  readonly remember?: string;
  readonly once?: boolean;
}

async function watch(flags: WatchFlags): Promise<void> {
  const { nodeId, maxAge, futureMax, lagMax } = flags;
  const source = sourceOf(flags);
  const ended = new AbortController();
  const limits = { maxAgeSeconds: maxAge, futureMaxSeconds: futureMax, lagMaxBlocks: lagMax ?? null };
  const judge = new HeartbeatJudge(loadSecp256k1(), nodeId, limits);
  const remembered = await Remembered.open(judge, flags.remember);
  const monitor = new Monitor({
    judge,
    nodeId: Buffer.from(nodeId).toString('hex'),
    read: () => reading(source, ended.signal),
    nowSeconds,
  });
  const round = async (): Promise<WatchEvent | null> => {
    const event = await monitor.round();
    await remembered?.save().catch((error: unknown) => notSaved(error, flags));
    return event;
  };
  if (flags.once === true) await watchOnce(round, monitor, flags);
  else await watchOn(round, flags, ended);
}

function sourceOf({ file, url, ...flags }: WatchFlags): ReadHeartbeat {
  const ofSigner = flags.socket ?? flags.stateDirectory;
  if ([file, url, ofSigner].filter((one) => one !== undefined).length > 1) {
    throw new CommandError(
      'usage',
      'the heartbeat is read from one place only',
      'Give one of --socket, --state-directory, --file and --url.',
    );
  }
  if (file !== undefined) return fromFile(file);
  return url === undefined ? fromSigner(socketPath(flags)) : fromUrl(url);
}

function tell(event: WatchEvent, { json }: WatchFlags): void {
  const lines = event.problems.map(({ code, message }) => `  ${code}: ${printable(message)}`);
  const headline = `${moment(event.timeSeconds)}  ${HEADLINES[event.event]}`;
  print(json === true ? [JSON.stringify(event)] : [headline, ...lines]);
}

const HEADLINES: Readonly<Record<WatchEvent['event'], string>> = {
  well: 'WELL',
  alarm: 'ALARM',
  changed: 'ALARM, CHANGED',
  recovered: 'RECOVERED',
};

const complain = (text: string): void => void process.stderr.write(`${printable(text)}\n`);

/** No reason to watch no more; but whoever looks once must know that the next one will not remember. */
function notSaved(error: unknown, { once }: WatchFlags): void {
  if (once === true || !(error instanceof CommandError)) throw error;
  complain(error.message);
}

type Round = () => Promise<WatchEvent | null>;

async function watchOnce(round: Round, monitor: Monitor, flags: WatchFlags): Promise<void> {
  const event = await round();
  if (event !== null) tell(event, flags);
  if (monitor.isWell) return;
  process.exitCode = 1;
  const { webhook } = flags;
  if (webhook === undefined || event === null) return;
  await deliver(event, ONCE_TRIES, {
    post: (body) => postJson(webhook, body),
    sleep: (ms) => sleep(ms),
    onProblem: complain,
  });
}

/** Until a signal; what the webhook has not taken by then stands in the output. */
async function watchOn(round: Round, flags: WatchFlags, ended: AbortController): Promise<void> {
  const { signal } = ended;
  const end = (): void => ended.abort();
  process.once('SIGTERM', end).once('SIGINT', end);
  const { promise: bug, reject: onBug } = Promise.withResolvers<never>();
  const webhook = webhookOf(flags, signal, onBug);
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const event = await round();
      if (signal.aborted) return;
      if (event !== null) tell(event, flags);
      // That all is well from the first is nothing to post.
      if (event !== null && event.event !== 'well') webhook?.announce(event);
      await pause(flags.every * 1000, signal);
    }
  };
  try {
    await Promise.race([run(), bug]);
  } finally {
    process.off('SIGTERM', end).off('SIGINT', end);
    ended.abort();
  }
}

function webhookOf(
  { webhook: url }: WatchFlags,
  signal: AbortSignal,
  onBug: (error: unknown) => void,
): Webhook | null {
  if (url === undefined) return null;
  return new Webhook({
    post: (body) => postJson(url, body, { signal }),
    sleep: (ms) => sleep(ms, undefined, { signal }),
    onProblem: (text) => {
      if (!signal.aborted) complain(text);
    },
    onBug: (error) => {
      if (!signal.aborted) onBug(error);
    },
  });
}

/** Ends early, and quietly, at a signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
