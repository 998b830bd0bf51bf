/** The rules about the chain: headers, block contents, oracles, and blocks that do not come. */
import { rule, softRule } from '../policy/registry.ts';

export const chainValidated = softRule({
  tag: 'policy-chain-validated',
  law: 'chain',
  operations: ['block'],
  carriesPromise: true,
  documentation:
    'Headers come in whole, connect to one on record, have the difficulty that the rules of the network give (computed at every change, BIP 94 and the exceptions of test networks included), a time above the median of the eleven before and at most two hours ahead of the signer’s clock, and a version that their height admits. Only a chain with more work replaces another. On signet every block carries the solution of the default challenge (BIP 325). A header that does not connect, does not prove the work it claims or claims less than the network’s least is refused even where the rule is set to `warn`.',
});

export const chainProof = rule({
  tag: 'policy-chain-proof',
  law: 'chain',
  severity: 'hard',
  operations: ['block'],
  documentation:
    'What a block contains is believed only with all of it: it hashes to the header on record, its transactions have the merkle root without equal hashes side by side (CVE-2012-2459), the first and only the first is a coinbase, its witnesses have the commitment of BIP 141, and nothing is missing or left over.',
});

export const chainOracleQuorum = softRule({
  tag: 'policy-chain-oracle-quorum',
  law: 'chain',
  operations: ['block'],
  documentation:
    'Where oracles are configured, strictly more than half of them have signed a block of this network with this height and hash before it counts. None configured means the rule is off.',
});

export const chainHashrate = softRule({
  tag: 'policy-chain-hashrate',
  law: 'chain',
  operations: ['block'],
  documentation:
    'An alarm when blocks stay away: none for longer than the limit, or so few within six hours or a day that it would happen by chance less than once in a million times. Somebody may be withholding blocks, or showing a chain that few mine. Nothing is refused by it. Off on regtest.',
});
