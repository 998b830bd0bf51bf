/**
 * What a request may make the signer work: wallet indices that the node names are looked at a few at a time.
 */
import { expect, it } from 'vitest';
import { coin, hub, output, own, spend } from './spending-model.ts';
import { STRANGER, walletScript, walletUtxo, withdrawal } from './wallet-model.ts';

/** A withdrawal with as many outputs and named indices as these. */
function busy(outputs: number, named: number) {
  const signer = hub();
  let derived = 0;
  const { walletPublicKey } = signer.keys;
  const keys = {
    ...signer.keys,
    walletPublicKey: (index: number) => {
      derived += 1;
      return walletPublicKey(index);
    },
  };
  Object.assign(signer, { keys });
  const utxo = coin(signer, 1_000_000n);
  const strangers = Array.from({ length: outputs }, () => output(STRANGER, 1000n));
  const { psbt } = spend([utxo], [own(signer, 2, 900_000n - BigInt(outputs) * 1000n), ...strangers]);
  const one = walletUtxo(signer.keys, 3);
  const others = Array.from({ length: named }, (_, i) => ({ ...one, keyindex: 1_000_000 + i }));
  derived = 0;
  const tag = signer.refused(withdrawal([utxo, ...others], psbt)).tag;
  return { tag, derived };
}

it('policy-onchain-no-unknown-outputs: trips without a derivation for every output and every index named', () => {
  const few = busy(1, 1);
  const many = busy(50, 200);
  for (const { tag } of [few, many]) expect(tag).toBe('policy-onchain-no-unknown-outputs');
  expect(many.derived - few.derived).toBeLessThan(100);
});

it('policy-onchain-wallet-path-predictable: trips at an index that only an input names', () => {
  const signer = hub();
  const utxo = coin(signer, 1_000_000n);
  const far = { ...walletUtxo(signer.keys, 3), keyindex: 7_000_000 };
  const { psbt } = spend([utxo], [output(walletScript(signer.keys, 7_000_000, 'p2tr'), 999_000n)]);
  expect(signer.refused(withdrawal([utxo, far], psbt)).tag).toBe('policy-onchain-wallet-path-predictable');
});
