/**
 * Opens the store it is given as a signer does at its start, asks it for one decision that needs the chain, and prints what
 * that took.
 */
import { loadSecp256k1 } from '@countersign/bitcoin';
import { keyView, PERMISSION } from '@countersign/core';
import { ChannelMaker } from './channels.ts';
import { benchJournal, benchSigner, spentBy } from './host.ts';

export interface RestartTimes {
  /** From opening the journal to the first answer. */
  readonly decisionUs: number;
  readonly decisionCpuUs: number;
  /** After it: all that should be on the network now, which the follower asks for. */
  readonly publishUs: number;
  readonly publishCpuUs: number;
  /** The same once more, as after every block. */
  readonly againUs: number;
  readonly againCpuUs: number;
}

const directory = process.argv[2]!;
const secp = loadSecp256k1();
const journals: ReturnType<typeof benchJournal>[] = [];
let started: ReturnType<typeof benchSigner> | undefined;
const { record, id } = await (async () => {
  // What is asked for is made before the clock runs.
  const { ring } = benchSigner(secp, { keys: () => [], auditHead: { seq: 0 } } as never);
  return new ChannelMaker(secp, keyView(ring)).make(0);
})();
const { txid, vout } = record.candidates[0]!.outpoint;
const decision = await spentBy(async () => {
  const journal = benchJournal(directory);
  journals.push(journal);
  started = benchSigner(secp, journal);
  const client = {
    channel: { peerId: record.peerId, dbid: record.dbid },
    permissions: ~PERMISSION.MASTER & 0x7ffn,
  };
  const answer = await started.signer.answer(client, {
    name: 'hsmd_check_outpoint',
    fundingTxid: txid,
    fundingTxout: vout,
  });
  if (answer.kind !== 'reply' || !('isBuried' in answer.reply) || !answer.reply.isBuried)
    throw new Error(
      `the funding of ${id} should be buried: ${JSON.stringify(answer, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
    );
});
const publish = await spentBy(() => started!.signer.chain.toPublish());
const again = await spentBy(() => started!.signer.chain.toPublish());
await journals[0]!.close();
const times: RestartTimes = {
  decisionUs: decision.wallUs,
  decisionCpuUs: decision.cpuUs,
  publishUs: publish.wallUs,
  publishCpuUs: publish.cpuUs,
  againUs: again.wallUs,
  againCpuUs: again.cpuUs,
};
console.log(JSON.stringify(times));
