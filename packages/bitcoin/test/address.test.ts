/** Addresses: the vectors of BIP 173 and BIP 350, base58check, and @scure/btc-signer as an oracle. */
import {
  type AddressChain,
  addressToScript,
  fromHex,
  p2pkhScript,
  p2shScript,
  p2trScript,
  p2wpkhScript,
  p2wshScript,
  scriptToAddress,
  toHex,
} from '@countersign/bitcoin';
import { Address, NETWORK, OutScript, TEST_NETWORK } from '@scure/btc-signer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const CHAINS: readonly AddressChain[] = ['bitcoin', 'testnet', 'testnet4', 'signet', 'regtest'];
const scriptOf = (address: string, chain: AddressChain) => {
  const result = addressToScript(address, chain);
  return result.ok ? toHex(result.script) : result.reason;
};

describe('BIP 350: valid segwit addresses', () => {
  it.each([
    ['BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4', '0014751e76e8199196d454941c45d1b3a323f1433bd6'],
    [
      'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
      '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262',
    ],
    [
      'bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y',
      '5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6',
    ],
    ['BC1SW50QGDZ25J', '6002751e'],
    ['bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs', '5210751e76e8199196d454941c45d1b3a323'],
    [
      'tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy',
      '0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433',
    ],
    [
      'tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c',
      '5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433',
    ],
    [
      'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
      '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
    ],
  ])('%s', (address, script) => {
    const chain = address.toLowerCase().startsWith('bc') ? 'bitcoin' : 'testnet';
    expect(scriptOf(address, chain)).toBe(script);
    expect(scriptToAddress(fromHex(script), chain)).toBe(address.toLowerCase());
    expect(scriptOf(address, chain === 'bitcoin' ? 'testnet' : 'bitcoin')).toBe('other-chain');
    expect(scriptOf(address, 'regtest')).toBe('other-chain');
  });
});

describe('BIP 173, BIP 350: invalid segwit addresses', () => {
  it.each([
    ['tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut', 'not-an-address'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd', 'checksum'],
    ['tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf', 'checksum'],
    ['BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL', 'checksum'],
    ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh', 'checksum'],
    ['tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47', 'checksum'],
    ['bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4', 'checksum'],
    ['BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R', 'witness-program'],
    ['bc1pw5dgrnzv', 'witness-program'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav', 'witness-program'],
    ['BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P', 'witness-program'],
    ['tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq', 'checksum'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf', 'witness-program'],
    ['tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j', 'witness-program'],
    ['bc1gmk9yu', 'witness-program'],
  ])('%s', (address, reason) => {
    for (const chain of CHAINS) expect(scriptOf(address, chain)).toBe(reason);
  });
});

describe('base58check addresses', () => {
  it.each([
    ['bitcoin', '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2', '76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac'],
    ['bitcoin', '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy', 'a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87'],
  ] as const)('%s %s', (chain, address, script) => {
    expect(scriptOf(address, chain)).toBe(script);
    expect(scriptToAddress(fromHex(script), chain)).toBe(address);
    expect(scriptOf(address, 'testnet')).toBe('other-chain');
  });

  it('name the chains by their version', () => {
    const hash = new Uint8Array(20).fill(7);
    for (const script of [p2pkhScript(hash), p2shScript(hash)]) {
      const main = scriptToAddress(script, 'bitcoin')!;
      const test = scriptToAddress(script, 'regtest')!;
      expect(scriptOf(test, 'signet')).toBe(toHex(script));
      expect(scriptOf(test, 'bitcoin')).toBe('other-chain');
      expect(scriptOf(main, 'regtest')).toBe('other-chain');
    }
  });

  it.each([
    ['1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3', 'checksum'],
    ['', 'not-an-address'],
    ['1', 'not-an-address'],
    ['satoshi', 'not-an-address'],
    ['0x742d35Cc6634C0532925a3b844Bc454e4438f44e', 'not-an-address'],
    ['1'.repeat(91), 'not-an-address'],
    // A private key in wallet import format: 33 bytes.
    ['5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ', 'not-an-address'],
  ])('refuse %s', (text, reason) => {
    expect(scriptOf(text, 'bitcoin')).toBe(reason);
  });

  it('refuse a version no chain has', () => {
    // Litecoin's P2PKH, version 48.
    expect(scriptOf('LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1', 'bitcoin')).toBe('not-an-address');
  });
});

it('agrees with @scure/btc-signer on every standard script', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const scripts = fc.oneof(
    bytes(20).map(p2pkhScript),
    bytes(20).map(p2shScript),
    bytes(20).map(p2wpkhScript),
    bytes(32).map(p2wshScript),
  );
  fc.assert(
    fc.property(scripts, (script) => {
      for (const [chain, network] of [
        ['bitcoin', NETWORK],
        ['testnet', TEST_NETWORK],
      ] as const) {
        const theirs = Address(network).encode(OutScript.decode(script));
        expect(scriptToAddress(script, chain)).toBe(theirs);
        expect(scriptOf(theirs, chain)).toBe(toHex(script));
      }
    }),
  );
});

it('has no address for what has none', () => {
  for (const script of ['', '6a00', '0003010203', '51']) {
    expect(scriptToAddress(fromHex(script), 'bitcoin')).toBeNull();
  }
  expect(scriptToAddress(p2trScript(new Uint8Array(32).fill(1)), 'regtest')).toMatch(/^bcrt1p/);
});
