/** What the rule about preimages does by itself: it refuses from the first preimage that the node side delivers. */
import {
  networkByName,
  type Override,
  policyOf,
  preimageSeverity,
  SETTLED_PREIMAGE_TAG,
  type Severity,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';

const bitcoin = networkByName('bitcoin')!;
const peerId = Uint8Array.from([2, ...Array<number>(32).fill(0xab)]);
const peer = `02${'ab'.repeat(32)}`;
const scope = { peerId, fundings: [] };
const severities = (severity: Severity) => new Map([[SETTLED_PREIMAGE_TAG, severity]]);
const override = (severity: Severity): Override => ({
  limits: {},
  severities: severities(severity),
  zeroConf: false,
  sharedAllowlist: false,
});

describe('the severity of policy-commitment-payment-settled-preimage', () => {
  it('is warn until the node side delivers preimages, then error', () => {
    expect(preimageSeverity(policyOf(bitcoin, 'hub'), false, null)).toBe('warn');
    expect(preimageSeverity(policyOf(bitcoin, 'hub'), true, null)).toBe('error');
    expect(preimageSeverity(policyOf(bitcoin, 'hub'), true, scope)).toBe('error');
  });

  it('is warn under permissive', () => {
    expect(preimageSeverity(policyOf(bitcoin, 'permissive'), true, null)).toBe('warn');
  });

  it('is what the operator set, for the node or for the peer', () => {
    const strict = policyOf(bitcoin, 'hub', { severities: severities('error') });
    const lax = policyOf(bitcoin, 'hub', { severities: severities('warn') });
    expect(preimageSeverity(strict, false, null)).toBe('error');
    expect(preimageSeverity(lax, true, null)).toBe('warn');
    const own = policyOf(bitcoin, 'hub', {
      severities: severities('error'),
      peers: new Map([[peer, override('warn')]]),
    });
    expect(preimageSeverity(own, true, scope)).toBe('warn');
    expect(preimageSeverity(own, true, null)).toBe('error');
  });
});
