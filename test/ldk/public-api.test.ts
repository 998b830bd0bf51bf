/** The types of the LDK adapter, as applications rest on them. */
import type { Secp256k1 } from '@countersign/bitcoin';
import {
  type BlockSource,
  type FeedOutcome,
  type LdkRefusal,
  LdkSigner,
  type LdkSignerOptions,
  type LdkWallet,
  type RefusalListener,
} from '@countersign/ldk';
import type { SyncDoor } from '@countersign/transport';
import type { EntropySource, NodeSigner, OutputSpender, SignerProvider } from 'lightningdevkit';
import { describe, expectTypeOf, it } from 'vitest';

describe('the signer of an LDK node', () => {
  it('opens over a door', () => {
    expectTypeOf(LdkSigner.open).toEqualTypeOf<(options: LdkSignerOptions) => LdkSigner>();
    expectTypeOf<{ door: SyncDoor; secp: Secp256k1 }>().toExtend<LdkSignerOptions>();
  });

  it('gives LDK what it takes', () => {
    expectTypeOf<LdkSigner['entropySource']>().toEqualTypeOf<EntropySource>();
    expectTypeOf<LdkSigner['nodeSigner']>().toEqualTypeOf<NodeSigner>();
    expectTypeOf<LdkSigner['signerProvider']>().toEqualTypeOf<SignerProvider>();
    expectTypeOf<LdkSigner['outputSpender']>().toEqualTypeOf<OutputSpender>();
    expectTypeOf<LdkSigner['wallet']>().toEqualTypeOf<LdkWallet>();
    expectTypeOf<LdkSigner['nodeId']>().toEqualTypeOf<Uint8Array>();
  });

  it('has the application’s hooks', () => {
    expectTypeOf<LdkSigner['preapproveInvoice']>().toEqualTypeOf<(invoice: string) => boolean>();
    expectTypeOf<LdkSigner['feedChain']>().toEqualTypeOf<(source: BlockSource) => Promise<FeedOutcome>>();
    expectTypeOf<LdkSigner['onRefusal']>().toEqualTypeOf<(listener: RefusalListener) => void>();
    expectTypeOf<RefusalListener>().toEqualTypeOf<(refusal: LdkRefusal) => void>();
    expectTypeOf<LdkRefusal>().toExtend<{
      readonly tag: string;
      readonly text: string;
      readonly temporary: boolean;
    }>();
    expectTypeOf<LdkSigner['close']>().toEqualTypeOf<() => Promise<void>>();
  });
});
