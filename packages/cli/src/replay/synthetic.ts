/**
 * The single cases of `synthetic/cases.json`: secret forms, version negotiation, bad requests, edge numbers, each with
 * the exit status Core Lightning's hsmd ended with. Requests that its fatal ends kept out of the recording are rebuilt.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, fromHex } from '@countersign/bitcoin';
import { CommandError } from '../command-error.ts';
import { type Fields, fieldsOf } from './json-fields.ts';
import {
  type Expectation,
  findJsonLines,
  loadJsonLines,
  parseJson,
  type RecordedMessage,
  type Recording,
  runsOf,
} from './recording.ts';

/** INIT for regtest, versions 5 to 6, no passphrase, as every other case of the set sends it. */
const INIT_REGTEST =
  '000b043587cf0435839406226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f00000000000000000500000006';
const PEER = '02069ebcaa6232e825598dd357c48d6b054134fedada4262a75223a54ebe6a6cfe';
const DERIVE_SECRET = '001b000161';
/** TLV record 1 of INIT: the passphrase, NUL-terminated. */
const TLV_PASSPHRASE = 1;

/** The passphrase an otherwise unrecorded INIT carries; null for none. */
const UNRECORDED_INIT: Readonly<Record<string, string | null>> = {
  'secret-mnemonic-wrongpass': 'wrong',
  'secret-mnemonic-nopass-given': null,
  'secret-mnemonic-pass-not-needed': 'not needed',
  'secret-bad-mnemonic': null,
  'secret-short': null,
  'secret-newline': null,
  'secret-encrypted-wrong': 'wrong',
};

interface Unrecorded {
  readonly type: number;
  readonly typeName: string;
  readonly request: string;
}

/** Last requests to which Core Lightning's hsmd answered by giving up, so that the recorder has no line of them. */
const UNRECORDED_FATAL: Readonly<Record<string, Unrecorded>> = {
  'refuse-before-init': { type: 27, typeName: 'DERIVE_SECRET', request: DERIVE_SECRET },
  'refuse-wrong-pubkey': { type: 28, typeName: 'CHECK_PUBKEY', request: `001c00000005${PEER}` },
  'refuse-wrong-bip86': { type: 56, typeName: 'CHECK_BIP86_PUBKEY', request: `003800000005${PEER}` },
  'four-dbid0': {
    type: 9,
    typeName: 'CLIENT_HSMFD',
    request: `0009${PEER}00000000000000000000000000000001`,
  },
};

function initWithPassphrase(passphrase: string | null): Uint8Array {
  const init = fromHex(INIT_REGTEST);
  if (passphrase === null) return init;
  const text = new TextEncoder().encode(passphrase);
  return concat(init, Uint8Array.of(TLV_PASSPHRASE, text.length + 1), text, Uint8Array.of(0));
}

function fromMaster(
  seq: number,
  what: Omit<Unrecorded, 'request'>,
  request: Uint8Array,
  expected: Expectation,
): RecordedMessage {
  return {
    seq,
    client: { id: 0, dbid: 0 },
    type: what.type,
    typeName: what.typeName,
    request,
    expected,
    opensClient: null,
    recordedUs: 0,
  };
}

/** What was sent after the recorded lines; nothing for most cases. */
function unrecordedMessages(name: string, fields: Fields, recordedCount: number): RecordedMessage[] {
  const passphrase = UNRECORDED_INIT[name];
  if (passphrase !== undefined) {
    const expected: Expectation = { kind: 'reply', body: fromHex(fields.text('reply')) };
    return [
      fromMaster(recordedCount, { type: 11, typeName: 'INIT' }, initWithPassphrase(passphrase), expected),
    ];
  }
  const fatal = UNRECORDED_FATAL[name];
  if (fatal === undefined) return [];
  return [fromMaster(recordedCount, fatal, fromHex(fatal.request), { kind: 'fatal' })];
}

/** A case without a secret lets the hsmd create one at random: to compare replies, the created one is used. */
function secretOf(fields: Fields): Uint8Array {
  return fromHex(fields.textOrNull('hsm_secret_file_before_hex') ?? fields.text('hsm_secret_file_after_hex'));
}

/** All cases of a directory that holds `cases.json`, in its order. */
export function loadSynthetic(directory: string): Recording[] {
  const path = join(directory, 'cases.json');
  const file = fieldsOf(parseJson(readFileSync(path, 'utf8'), path), path);
  return file.list('cases').map((fields) => {
    const name = fields.text('case');
    const lines = findJsonLines(directory, name);
    if (lines === undefined) {
      throw new CommandError(
        'recording-not-found',
        `${path} names case ${name}, but its recording is missing`,
        `Add ${name}.jsonl beside it.`,
      );
    }
    const run = runsOf(loadJsonLines(lines)).flat();
    run.push(...unrecordedMessages(name, fields, run.length));
    return {
      scenario: file.text('scenario'),
      node: name,
      description: fields.text('description'),
      hsmSecret: secretOf(fields),
      runs: [run],
      exitStatus: fields.count('exit_status'),
    };
  });
}
