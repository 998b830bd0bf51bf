/** For operators: refusals and alarms about the chain itself. */
import type { Guides } from './guide.ts';

const FEEDER =
  'Compare the tip that `countersign` reports with a block explorer you trust, and the follower’s log with the log of your Bitcoin node.';

export const CHAIN_GUIDE: Guides = {
  'policy-chain-validated': {
    happened: 'Headers or a block were shown that are not a valid continuation of any chain on record.',
    means:
      'Whoever feeds the signer follows another network, is far behind, has a wrong clock, or shows a made-up chain. A reorg deeper than the limit locks the chain view instead.',
    todo: `${FEEDER} On a signet with a challenge of its own, set the rule to warn: its blocks are not checked for a solution then.`,
    limits: ['reorgDepthBlocksMax'],
  },
  'policy-chain-proof': {
    happened: 'What was shown as a block is not the content of the block on record.',
    means: 'The source of blocks is damaged or cut short, or somebody shows a block that never was.',
    todo: `${FEEDER} The signer asks for the same block again; a source that goes on needs a look at its disk.`,
  },
  'policy-chain-oracle-quorum': {
    happened: 'Too few of the configured oracles have attested the block.',
    means: 'Oracles are behind or out of reach, or the block is not of the chain that they see.',
    todo: 'Wait: the rest may still attest. If it goes on, ask those who run the oracles before you remove one.',
  },
  'policy-chain-hashrate': {
    happened: 'Blocks stay away: none for hours, or far fewer than miners find.',
    means:
      'The follower or its Bitcoin node is down, the connection is cut, blocks are withheld, or a large part of the miners has stopped.',
    todo: `${FEEDER} Nothing is refused by this rule, but a view that lags refuses what depends on heights.`,
    limits: ['chainSilenceSecondsMax'],
  },
};
