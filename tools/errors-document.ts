/**
 * Renders `docs/errors.md`. Codes come from exported tables where there is one; the others are named here by their
 * types, so that a new code without its line does not compile.
 */
import type { SourceErrorCode } from '@countersign/chain';
import type { CommandErrorCode } from '@countersign/cli';
import { EXIT } from '@countersign/cli';
import {
  type AdminErrorCode,
  HsmSecretError,
  type HsmSecretFault,
  REFUSAL_WIRE_CODE,
  type RefusalCode,
} from '@countersign/core';
import type { DaemonErrorCode } from '@countersign/daemon';
import type { AdminProtocolErrorCode } from '@countersign/host';
import { STORE_ERRORS } from '@countersign/store';
import type {
  DescriptorErrorCode,
  FrameErrorCode,
  LinkErrorCode,
  SocketErrorCode,
  SyncDoorErrorCode,
} from '@countersign/transport';

type Table<Code extends string> = Readonly<Record<Code, string>>;

const REFUSALS: Table<RefusalCode> = {
  policy: 'a rule forbids it; the tag says which (see [policies](policies.md))',
  malformed: 'the request is not well formed, or contradicts what the signer knows',
  permission: 'the client that asked may not ask this; its socket is closed',
  'not-initialized': 'a request before INIT',
  'store-failed': 'the store failed, so the signer has stopped signing until it is started again',
  unreachable:
    'said by the node side of a remote signer, which could not ask the right one; the tag says why',
};

const FRAMES: Table<FrameErrorCode> = {
  'frame-too-large': 'the announced length exceeds the limit; nothing was allocated for it',
  'frame-truncated': 'the stream ended inside a frame',
  'send-queue-full': 'the peer does not read, and more waits for it than the limit allows',
  'connection-closed': 'the connection is gone, so what depended on it was not done',
};

const DESCRIPTORS: Table<DescriptorErrorCode> = {
  'descriptor-call-failed': 'a system call failed; the facts name the call and the errno',
  'descriptor-send-timeout': 'the socket’s buffer stayed full for the whole wait',
  'descriptor-missing': 'a message came without exactly one descriptor',
  'descriptor-unsupported':
    'descriptors cannot be passed here: unknown platform, or the native library does not load',
};

const SOCKETS: Table<SocketErrorCode> = {
  'socket-path-too-long': 'the kernel takes no socket path this long: give the state directory a shorter one',
  'socket-path-taken': 'something that is no socket lies at the path: remove it',
  'socket-listen-failed': 'the socket could not be opened; the cause says why. The signer runs without it',
};

const OPERATIONS: Table<AdminErrorCode | AdminProtocolErrorCode> = {
  'not-found': 'nothing of that name: request, approval, allowlist entry or channel',
  'amount-needed': 'the invoice names no amount: say for which it is approved',
  'amount-fixed': 'the request names an amount, and another was given',
  'amount-invalid': 'no amount that a payment can have',
  'expiry-invalid': 'no time that an approval can last',
  expired: 'the request waits no longer: its invoice expired',
  'in-use': 'a part of the payment is in flight or settled: no other approval takes its place',
  'entry-invalid': 'no address, script, extended key or node id of this network',
  'entry-known': 'it is on the allowlist already',
  'list-full': 'the list takes no more: remove something first',
  'not-possible': 'what this version’s rules, or a proof of rollback, say is not the operator’s to undo',
  'bad-request': 'the line is no request of this version; the message says why',
  'store-failed': 'the store failed: the signer has stopped, and changes nothing any more',
  busy: 'another verification of the audit log is still running',
  'chain-refused': 'the view of the chain will not have it; the message says why',
  'close-refused': 'the laws allow no commitment of ours for this channel; the message says why',
};

const SYNC_DOORS: Table<SyncDoorErrorCode> = {
  'sync-door-unreachable':
    'no signer is behind the door, or its answer did not come; LDK is told to ask again',
  'sync-door-broken':
    'the thread or process that carries requests to a signer elsewhere has ended: open a new door, and the node over it; LDK is told to ask again',
  'sync-door-closed': 'the door was closed before the call',
};

const LINKS: Table<LinkErrorCode> = {
  'link-closed': 'the link was closed for good while the request waited',
  'link-queue-full': 'more waits for the signer than the limit allows: it has been away for long',
  'link-request-too-large': 'a request, or an answer, that no frame of the link can hold',
  'link-silent': 'nothing was heard of the other side for too long; the connection is made anew',
  'link-not-read': 'the other side does not read what it is sent; the connection is made anew',
  'link-protocol': 'the other side broke the protocol, so its connection was dropped',
  'link-stranger': 'who is at the other end has no pinned key, or does not speak the link’s protocol',
  'link-version': 'the two sides have no version of the protocol in common: update the older one',
  'link-ended': 'the other side ended the connection; the facts say why',
  'link-unreachable': 'no connection came about: is the other side running, and the address right?',
  'link-listen-failed': 'the address cannot be listened at; the cause says why',
  'link-file':
    'a file of the link cannot be used: missing, damaged, or open to others; the message says which',
  'pairing-token': 'the token cannot be read: copy it whole',
  'pairing-refused': 'the pairing was refused; the facts say why',
  'pin-name': 'no name for a key: lower case letters, digits, dots, hyphens and underscores, 32 at most',
  'pin-taken': 'the name is taken by another key, or the key by another name',
  'pin-unknown': 'no key is pinned under that name',
};

const CHAIN_SOURCES: Table<SourceErrorCode> = {
  'chain-source-unreachable':
    'no connection, or none that lasted; is it running, and is `url` in `[chain]` right?',
  'chain-source-unauthorized':
    'it does not let the signer in: see `cookie_file`, or `user` and `password_file`',
  'chain-source-answer': 'what came back is no answer; nothing of it was used',
  'chain-source-busy': 'it starts, catches up itself, or wants fewer requests',
  'chain-source-network': 'it follows another network than the node',
  'chain-source-pruned':
    'it has thrown away a block that the signer has not read yet: take another source until the signer has caught up',
  'chain-source-missing': 'it no longer has what it had just named, as after a reorg',
};

const HSM_SECRETS: Table<HsmSecretFault> = {
  'passphrase-required': 'start lightningd with `--hsm-passphrase`',
  'passphrase-not-needed': 'start lightningd without a passphrase',
  'wrong-passphrase': 'type it again; the process ends quietly',
  'invalid-mnemonic': 'the words of the file are no BIP 39 mnemonic',
  'seed-derivation-failed': 'the words could not be made a seed',
  'invalid-format': 'the file has none of the forms CLN writes',
};

const COMMANDS: Table<CommandErrorCode> = {
  usage: 'the command line cannot be meant like this',
  'recording-not-found': 'there is no such recording',
  'recording-malformed': 'a recording cannot be read',
  'hsmd-not-found': 'there is no hsmd at that path; build the project first',
  'hsmd-start-failed': 'the hsmd did not start',
  'signer-unreachable': 'no signer listens there: is the node running?',
  'signer-answer': 'what answered is no signer of this version',
  'operation-refused': 'the signer did not do what was asked; nothing changed',
};

const DAEMON: Table<DaemonErrorCode> = {
  'seed-file': 'the seed file cannot be read, made or replaced; the message says why',
  'seed-file-invalid':
    'the file is no seed file, or it was changed: restore it from its backup, or make it from the words',
  'seed-file-newer': 'a newer release wrote the seed file: use that one',
  'seed-wrong-passphrase': 'the passphrase does not open the seed file',
  'passphrase-missing':
    'there is nothing to read the passphrase from: no terminal, file, descriptor or credential',
  'passphrase-unusable': 'what was read is no passphrase: one line of 1 to 1024 bytes',
  'health-listen-failed': 'the address in `[health]` cannot be listened at; the message says why',
  'node-start-failed': 'a node of `signer.toml` cannot be served; the message says which and why',
};

/** Codes that one place raises each. */
const SINGLE: Table<
  | 'malformed'
  | 'invariant-broken'
  | 'crypto-unavailable'
  | 'config-invalid'
  | 'hsm-secret-file'
  | 'record-newer-schema'
  | 'record-unreadable'
  | 'http-failed'
  | 'signing-threads'
> = {
  malformed: 'bytes that do not have the form they claim; caught at the door and answered as a refusal',
  'invariant-broken': 'a bug of ours: the process ends rather than go on; please report it',
  'crypto-unavailable':
    'a native curve library does not load; there is no fallback, the process does not start',
  'config-invalid':
    '`countersign.toml` or `signer.toml` has an error; the message gives the line and what to write',
  'hsm-secret-file': '`hsm_secret` cannot be read, created or written',
  'record-newer-schema': 'a newer version of Countersign wrote a record: start that one',
  'record-unreadable': 'a record of the store cannot be decoded: the store is damaged',
  'http-failed':
    'a heartbeat could not be fetched, or an alarm not be delivered, over HTTP; the monitor tries again',
  'signing-threads': 'a thread for signatures has other keys than its signer: the start ends',
};

const codeTable = (rows: Readonly<Record<string, string>>): string[] => [
  '| code | what it means |',
  '|---|---|',
  ...Object.entries(rows).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
  '',
];

function refusalTable(): string[] {
  const rows = Object.entries(REFUSALS).map(
    ([code, meaning]) => `| \`${code}\` | ${REFUSAL_WIRE_CODE[code as RefusalCode]} | ${meaning} |`,
  );
  return ['| code | on the wire | what it means |', '|---|---|---|', ...rows, ''];
}

function secretTable(): string[] {
  const rows = Object.entries(HSM_SECRETS).map(([fault, advice]) => {
    const { code, initFailure } = new HsmSecretError(fault as HsmSecretFault);
    const { errorCode, errorMessage, exitStatus } = initFailure;
    return `| \`${code}\` | ${errorCode} | ${errorMessage} | ${exitStatus} | ${advice} |`;
  });
  return [
    '| code | `error_code` of message 115 | text | exit status | what to do |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

export function renderErrorsDocument(): string {
  const lines = [
    '# Errors',
    '',
    '<!-- Generated by tools/generate-docs.ts. Edit the tables in the code, not this page. -->',
    '',
    'Every refusal and every failure has a stable code, a message, and facts with units. None ever carries a secret.',
    '',
    '## Refusals',
    '',
    'The normal way to say no. A refusal is a reply: the process goes on, and nothing was changed. On the hsmd wire it is',
    'message 3000 with a number and a text (tag, sentence, facts), except where the protocol has a gentler no: a preapproval',
    'is declined, an anchor spend stays unsigned. The text is in lightningd’s log in any case.',
    '',
    ...refusalTable(),
    '## The store',
    '',
    'Each of these stops signing. Remove the cause and start again; do not repair the store by hand.',
    '',
    ...codeTable(STORE_ERRORS),
    '## `hsm_secret`',
    '',
    'lightningd prints the text and exits.',
    '',
    ...secretTable(),
    '## The signer daemon',
    '',
    'Of `countersign signer`, when it starts and in its commands; see [signer.md](signer.md).',
    '',
    ...codeTable(DAEMON),
    '## Start, state and bugs',
    '',
    ...codeTable(SINGLE),
    '## Frames',
    '',
    ...codeTable(FRAMES),
    '## Descriptors',
    '',
    ...codeTable(DESCRIPTORS),
    '## Sockets',
    '',
    'Of `admin.sock` and `node.sock` in the state directory; in lightningd’s log.',
    '',
    ...codeTable(SOCKETS),
    '## The operator’s requests',
    '',
    'In answers on `admin.sock` ([approvals.md](approvals.md#the-protocol)); nothing has changed then.',
    '',
    ...codeTable(OPERATIONS),
    '## The synchronous door',
    '',
    'Between LDK and its signer, where a call has to be answered before it returns.',
    '',
    ...codeTable(SYNC_DOORS),
    '## The link to a remote signer',
    '',
    'See [remote-link.md](remote-link.md). A lost connection is no error: it is made again, and requests wait.',
    '',
    ...codeTable(LINKS),
    '## The source of blocks',
    '',
    'Of the Bitcoin node or Esplora server in `[chain]`; in lightningd’s log and in `countersign chain status`. The signer goes on',
    'meanwhile with the chain it knows, and tries again by itself.',
    '',
    ...codeTable(CHAIN_SOURCES),
    '## The command line',
    '',
    ...codeTable(COMMANDS),
    `Exit statuses of \`countersign\`: ${EXIT.ok} as it should be, ${EXIT.failed} what was checked is not so, ${EXIT.usage} wrong usage, ${EXIT.bug} a bug of ours.`,
    '',
  ];
  return lines.join('\n');
}
