/** What may stand on the allowlist of a network, told from the text; xpubs by BIP 32's vectors. */
import { concat, fromHex, loadSecp256k1, sha256 } from '@countersign/bitcoin';
import { networkByName, readDestination, readPayee } from '@countersign/core';
import { base58check } from '@scure/base';
import { describe, expect, it } from 'vitest';

const bitcoin = networkByName('bitcoin')!;
const regtest = networkByName('regtest')!;
const secp = loadSecp256k1();
const base58 = base58check(sha256);

/** BIP 32 test vector 1, m. */
const XPUB =
  'xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8';
const XPRV =
  'xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi';
const reversioned = (version: string, text = XPUB): string =>
  base58.encode(concat(fromHex(version), base58.decode(text).slice(4)));
const TPUB = reversioned('043587cf');
/** The generator, and a number that is no x of a point. */
const PUBLIC_KEY = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
const OFF_CURVE = `02${'00'.repeat(31)}05`;

describe('a destination', () => {
  it.each([
    ['a P2WPKH address', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'address'],
    ['a P2PKH address', '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'address'],
    ['a P2SH address', '3P14159f73E4gFr7JterCCQh9QjiTjiZrG', 'address'],
    ['an extended public key', XPUB, 'xpub'],
    ['a P2WPKH script', '0014751e76e8199196d454941c45d1b3a323f1433bd6', 'script'],
    ['a P2WSH script', `0020${'11'.repeat(32)}`, 'script'],
    ['a P2TR script', `5120${'11'.repeat(32)}`, 'script'],
    ['a P2PKH script', `76a914${'11'.repeat(20)}88ac`, 'script'],
    ['a P2SH script', `a914${'11'.repeat(20)}87`, 'script'],
    ['a witness program of the future', `5220${'11'.repeat(32)}`, 'script'],
  ])('may be %s', (_, text, kind) => {
    expect(readDestination(text, bitcoin, secp)).toEqual({ ok: true, kind, text });
  });

  it.each([
    [
      'an address of another network',
      'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
      'this address is of another network than bitcoin',
    ],
    [
      'a mistyped address',
      'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5',
      'the checksum of this address is wrong: a character is missing or mistyped',
    ],
    [
      'an address of no script',
      'bc1gmk9yu',
      'this address has a valid checksum, but stands for no output script',
    ],
    ['a word', 'alice', 'this is no address, no extended public key and no output script in hex'],
    ['nothing', '', 'this is no address, no extended public key and no output script in hex'],
    ['a node id', PUBLIC_KEY, 'this is a node id or public key: node ids are payees'],
    [
      'an OP_RETURN',
      '6a0100',
      'this script is of no form that pays somebody (P2PKH, P2SH, or a witness program)',
    ],
    [
      'another script',
      '515151',
      'this script is of no form that pays somebody (P2PKH, P2SH, or a witness program)',
    ],
    [
      'a mistyped xpub',
      `${XPUB.slice(0, -1)}9`,
      'the checksum of this extended public key is wrong: a character is missing or mistyped',
    ],
    [
      'an xpub of another network',
      TPUB,
      'this is no extended public key of bitcoin: such a key begins with xpub',
    ],
    [
      'a zpub',
      reversioned('04b24746'),
      'this is no extended public key of bitcoin: such a key begins with xpub',
    ],
    [
      'a private key',
      XPRV,
      'this is an extended PRIVATE key: remove it here, and treat it as known to others',
    ],
    [
      'a private key with the version of a public one',
      reversioned('0488b21e', XPRV),
      'this is an extended PRIVATE key: remove it here, and treat it as known to others',
    ],
    [
      'an xpub of no compressed key',
      base58.encode(
        concat(base58.decode(XPUB).slice(0, 45), Uint8Array.of(4), base58.decode(XPUB).slice(46)),
      ),
      'this is no extended public key of bitcoin: such a key begins with xpub',
    ],
    [
      'base58 of another length',
      base58.encode(base58.decode(XPUB).slice(1)),
      'this is no extended public key',
    ],
  ])('is not %s', (_, text, reason) => {
    expect(readDestination(text, bitcoin, secp)).toEqual({ ok: false, reason });
  });

  it('has one way to write it', () => {
    const address = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
    expect(readDestination(address.toUpperCase(), bitcoin, secp)).toMatchObject({
      kind: 'address',
      text: address,
    });
  });

  it('is of its own network', () => {
    expect(readDestination(TPUB, regtest, secp)).toMatchObject({ ok: true, kind: 'xpub' });
    expect(readDestination(XPUB, regtest, secp)).toEqual({
      ok: false,
      reason: 'this is no extended public key of regtest: such a key begins with tpub',
    });
  });
});

describe('a payee', () => {
  it('is a node id in hex', () => {
    const entry = { ok: true, kind: 'payee', text: PUBLIC_KEY };
    expect(readPayee(PUBLIC_KEY, secp)).toEqual(entry);
  });

  it.each([PUBLIC_KEY.toUpperCase(), `04${PUBLIC_KEY.slice(2)}`, `${PUBLIC_KEY}0`, 'alice', ''])(
    'is not %j',
    (text) => {
      expect(readPayee(text, secp)).toEqual({
        ok: false,
        reason: 'a payee is a node id: 66 hex digits in lower case that begin with 02 or 03',
      });
    },
  );

  it('is on the curve', () => {
    expect(readPayee(OFF_CURVE, secp)).toEqual({
      ok: false,
      reason: 'this node id is no point on the curve',
    });
  });
});
