/** BOLT 3 output scripts against their text in the specification, assembled by bitcoinjs-lib. */
import { script as bitcoinScript } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  anchorScript,
  buildCommitment,
  type CommitmentParams,
  FormError,
  fundingScript,
  hash160,
  htlcScripts,
  htlcTransactionOutputScript,
  p2wpkhOfKey,
  p2wshOfScript,
  ripemd160,
  toHex,
  toLocalScript,
  toRemoteAnchoredScript,
} from '../src/index.ts';
import { channel, formats, keys, localFundingKey, remoteFundingKey } from './bolt3-channel.ts';

/** Minimal push of a number, in bitcoinjs-lib's assembly. */
const number = (value: number): string =>
  value === 0 ? 'OP_0' : value <= 16 ? `OP_${value}` : toHex(bitcoinScript.number.encode(value));
const assemble = (...text: string[]): string => toHex(bitcoinScript.fromASM(text.join(' ')));
const hex = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, toHex(key)])) as Record<
  keyof typeof keys,
  string
>;
const revocationHash = toHex(hash160(keys.revocation));
const size32 = 'OP_SWAP OP_SIZE 20 OP_EQUAL';
const oneBlock = 'OP_1 OP_CHECKSEQUENCEVERIFY OP_DROP';

const delayed = (csvBlocks: number): string =>
  assemble(
    `OP_IF ${hex.revocation} OP_ELSE`,
    `${number(csvBlocks)} OP_CHECKSEQUENCEVERIFY OP_DROP ${hex.broadcasterDelayed}`,
    'OP_ENDIF OP_CHECKSIG',
  );
const blocks = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.constantFrom(0, 16, 17, 127, 128, 32767, 32768),
);

describe('BOLT 3 scripts', () => {
  it('funding output: the lesser key first, whatever the order given', () => {
    const expected = assemble(
      `OP_2 ${toHex(localFundingKey)} ${toHex(remoteFundingKey)} OP_2 OP_CHECKMULTISIG`,
    );
    expect(toHex(fundingScript(localFundingKey, remoteFundingKey))).toBe(expected);
    expect(toHex(fundingScript(remoteFundingKey, localFundingKey))).toBe(expected);
  });
  it('to_local and the output of HTLC transactions', () => {
    fc.assert(
      fc.property(blocks, (delay) => {
        expect(toHex(toLocalScript(keys, delay))).toBe(delayed(delay));
        expect(toHex(htlcTransactionOutputScript(keys, delay))).toBe(delayed(delay));
      }),
    );
  });
  it('to_remote with anchors: one block', () => {
    expect(toHex(toRemoteAnchoredScript(keys.countersignatoryPayment))).toBe(
      assemble(`${hex.countersignatoryPayment} OP_CHECKSIGVERIFY OP_1 OP_CHECKSEQUENCEVERIFY`),
    );
  });
  it('anchor', () => {
    expect(toHex(anchorScript(localFundingKey))).toBe(
      assemble(
        `${toHex(localFundingKey)} OP_CHECKSIG OP_IFDUP OP_NOTIF OP_16 OP_CHECKSEQUENCEVERIFY OP_ENDIF`,
      ),
    );
  });
  it.each(formats)('offered and received HTLC, %s', (format) => {
    const lock = format === 'static_remotekey' ? [] : [oneBlock];
    const heights = fc.oneof(
      fc.integer({ min: 0, max: 499_999_999 }),
      fc.constantFrom(0, 1, 16, 17, 127, 128, 32767, 32768, 8388607, 8388608),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), heights, (paymentHash, cltvExpiry) => {
        const scripts = htlcScripts(keys, format);
        const checkHash = `OP_HASH160 ${toHex(ripemd160(paymentHash))} OP_EQUALVERIFY`;
        const twoOfTwo = `OP_2 OP_SWAP ${hex.broadcasterHtlc} OP_2 OP_CHECKMULTISIG`;
        const head = `OP_DUP OP_HASH160 ${revocationHash} OP_EQUAL OP_IF OP_CHECKSIG OP_ELSE ${hex.countersignatoryHtlc}`;
        expect(toHex(scripts.offered(paymentHash))).toBe(
          assemble(
            `${head} ${size32} OP_NOTIF OP_DROP ${twoOfTwo}`,
            `OP_ELSE ${checkHash} OP_CHECKSIG OP_ENDIF`,
            ...lock,
            'OP_ENDIF',
          ),
        );
        expect(toHex(scripts.received(paymentHash, cltvExpiry))).toBe(
          assemble(
            `${head} ${size32} OP_IF ${checkHash} ${twoOfTwo}`,
            `OP_ELSE OP_DROP ${number(cltvExpiry)} OP_CHECKLOCKTIMEVERIFY OP_DROP OP_CHECKSIG OP_ENDIF`,
            ...lock,
            'OP_ENDIF',
          ),
        );
      }),
      { numRuns: 50 },
    );
  });
  it.each([-1, 0.5, 0x10000, Number.NaN])('refuse a relative lock of %s blocks', (delay) => {
    expect(() => toLocalScript(keys, delay)).toThrow(FormError);
    expect(() => toLocalScript(keys, 6, delay)).toThrow(FormError);
    expect(() => toRemoteAnchoredScript(keys.countersignatoryPayment, delay)).toThrow(FormError);
  });
});

describe('leases (option_will_fund, as CLN locks them)', () => {
  it('lengthen the lessor’s to_local to what is left of the lease, never shorten it', () => {
    fc.assert(
      fc.property(blocks, blocks, (delay, lease) => {
        expect(toHex(toLocalScript(keys, delay, lease))).toBe(delayed(Math.max(delay, lease)));
      }),
    );
  });
  it('lock the lessor’s to_remote for what is left of the lease, at least one block', () => {
    fc.assert(
      fc.property(blocks, (lease) => {
        expect(toHex(toRemoteAnchoredScript(keys.countersignatoryPayment, lease))).toBe(
          assemble(
            `${hex.countersignatoryPayment} OP_CHECKSIGVERIFY`,
            `${number(Math.max(1, lease))} OP_CHECKSEQUENCEVERIFY`,
          ),
        );
      }),
    );
  });

  const scriptOf = (params: Partial<CommitmentParams>, kind: string): string => {
    const { outputs } = buildCommitment({ ...channel, feeratePerKw: 253, ...params });
    return toHex(outputs.find((output) => output.kind === kind)!.script);
  };
  const plainRemote = toHex(p2wpkhOfKey(keys.countersignatoryPayment));
  const anchoredRemote = (lease: number): string =>
    toHex(p2wshOfScript(toRemoteAnchoredScript(keys.countersignatoryPayment, lease)));
  const local = (lease: number): string => toHex(p2wshOfScript(toLocalScript(keys, 144, lease)));
  const format = 'anchors_zero_fee_htlc';

  it('bind the party that is not the funder, on each side’s commitment', () => {
    const leased = { format, leaseCsvBlocks: 4032 } as const;
    expect(scriptOf({ ...leased, funder: 'broadcaster' }, 'to_local')).toBe(local(0));
    expect(scriptOf({ ...leased, funder: 'broadcaster' }, 'to_remote')).toBe(anchoredRemote(4032));
    expect(scriptOf({ ...leased, funder: 'countersignatory' }, 'to_local')).toBe(local(4032));
    expect(scriptOf({ ...leased, funder: 'countersignatory' }, 'to_remote')).toBe(anchoredRemote(1));
  });
  it('leave the P2WPKH to_remote of static_remotekey as it is', () => {
    expect(scriptOf({ leaseCsvBlocks: 4032 }, 'to_remote')).toBe(plainRemote);
  });
});
