/**
 * Recorded sessions of real nodes as the adversary takes them. Recordings have no chain and no preimages, so what needs those is
 * off or warns here; whom the recorded nodes paid is on the allowlist.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Recorded } from '@countersign/adversary';
import { fromHex } from '@countersign/bitcoin';
import { decodeMessage } from '@countersign/wire';
import { ownerTerms, ownerToml } from './owner.ts';
import { MemorySubject } from './subject.ts';

const VECTORS = new URL('../../vectors/cln/', import.meta.url);
/** In each a node that comes to money has a plain secret of 32 bytes, the form that the subject takes. */
export const RECORDED_SCENARIOS = [
  '20-payments-load',
  'breach',
  'force-close-htlc',
  'forward',
  'open-pay-close',
  'simple-close',
  'static-remotekey',
] as const;

interface Meta {
  readonly nodes: Readonly<
    Record<string, { node_id: string; hsm_secret_kind: string; hsm_secret_hex: string }>
  >;
}

interface Line {
  readonly client: { readonly dbid: number; readonly peer_id: string };
  readonly request: string;
}

export interface RecordedNode {
  readonly name: string;
  readonly session: readonly Recorded[];
  readonly seed: Uint8Array;
  readonly payees: readonly Uint8Array[];
}

export function recordedNodes(scenario: string): readonly RecordedNode[] {
  const directory = new URL(`${scenario}/`, VECTORS);
  const meta: Meta = JSON.parse(readFileSync(new URL('meta.json', directory), 'utf8'));
  const payees = Object.values(meta.nodes).map(({ node_id }) => fromHex(node_id));
  return Object.entries(meta.nodes)
    .filter(([, { hsm_secret_kind }]) => hsm_secret_kind === 'plain32')
    .map(([node, { hsm_secret_hex }]) => {
      const text = gunzipSync(readFileSync(new URL(`${node}.jsonl.gz`, directory))).toString('utf8');
      const lines = text.split('\n').filter((line) => line !== '');
      return {
        name: `${scenario}/${node}`,
        session: lines.flatMap((line) => recordedOf(JSON.parse(line))),
        seed: fromHex(hsm_secret_hex),
        payees,
      };
    });
}

function recordedOf({ client, request }: Line): Recorded[] {
  const decoded = decodeMessage(fromHex(request), 'request');
  if (!decoded.ok || decoded.message.name === 'unknown' || decoded.message.name === 'hsmd_dev_preinit')
    return [];
  const { dbid, peer_id } = client;
  const channel = dbid === 0 ? null : { peerId: fromHex(peer_id), dbid: BigInt(dbid) };
  return [{ client: { channel }, request: decoded.message }];
}

/** Rules that no recording can satisfy: it brings neither blocks nor preimages. */
const FILE = {
  policyLines: ['contest_delay_min_blocks = 4'],
  ruleLines: ['"policy-commitment-payment-settled-preimage" = "warn"'],
};

export async function recordedGame({ seed, payees }: RecordedNode) {
  const file = { ...FILE, payees };
  const toml = ownerToml(file)
    .replace(/\[chain\][\s\S]*$/, '')
    .replace('"policy-commitment-payment-settled-preimage" = "error"\n', '');
  return {
    subject: await MemorySubject.create({ toml, seed, isBlind: true }),
    terms: { ...ownerTerms(file), contestDelayBlocksMin: 4 },
  };
}
