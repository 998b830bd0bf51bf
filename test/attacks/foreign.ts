/** Bytes that one protocol signs and another would understand: what domain separation must keep apart. */
import {
  ByteWriter,
  concat,
  hash256,
  type Transaction,
  writeCompactSize,
  writeOutPoint,
  writeTxOutput,
} from '@countersign/bitcoin';
import type { AttackChannel } from './channel.ts';
import { type AttackWorld, regtest } from './world.ts';

const SIGHASH_ALL = 1;

/** What BIP 143 hashes twice for the only input of a transaction. */
export function bip143Preimage(tx: Transaction, script: Uint8Array, valueSat: bigint): Uint8Array {
  const spent = tx.inputs[0]!;
  const outpoint = written(36, (writer) => writeOutPoint(writer, spent));
  const sequence = written(4, (writer) => writer.u32le(spent.sequence));
  const outputs = tx.outputs.map((output) =>
    written(9 + output.script.length + 8, (writer) => writeTxOutput(writer, output)),
  );
  return concat(
    written(4, (writer) => writer.i32le(tx.version)),
    hash256(outpoint),
    hash256(sequence),
    outpoint,
    written(9, (writer) => writeCompactSize(writer, script.length)),
    script,
    written(8, (writer) => writer.u64le(valueSat)),
    sequence,
    hash256(concat(...outputs)),
    written(8, (writer) => writer.u32le(tx.locktime).u32le(SIGHASH_ALL)),
  );
}

function written(bytesMax: number, write: (writer: ByteWriter) => unknown): Uint8Array {
  const writer = new ByteWriter(bytesMax);
  write(writer);
  return writer.finish();
}

/** BOLT 7: the announcement of this channel, its signatures still zero. */
export function announcement(world: AttackWorld, { model, funding }: AttackChannel): Uint8Array {
  const nodes = [world.keys.nodeId(), model.ref.peerId];
  const fundingKeys = [model.holderFundingKey, funding.peerKey];
  const features = new Uint8Array(2);
  const scid = new Uint8Array(8);
  return concat(
    Uint8Array.of(1, 0),
    new Uint8Array(4 * 64),
    features,
    regtest.chainHash,
    scid,
    ...nodes,
    ...fundingKeys,
  );
}
