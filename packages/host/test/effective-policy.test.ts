/** The policy in force: each value with its origin, each rule with its reason, and when the promise is void. */
import { EMPTY_NODE, type StateReader } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import {
  type EffectivePolicy,
  effectivePolicy,
  LIMIT_NAMES,
  MAINNET_OVERRIDE,
  parseConfig,
  policyJson,
  policyNotices,
  policyText,
  renderPolicy,
  type SignerFacts,
  signerFacts,
  tomlKey,
} from '../src/index.ts';
import { FILE, FUNDING, network, PEER, parse, policy, RULES } from './config-support.ts';

const PREIMAGES = 'policy-commitment-payment-settled-preimage';
const NOTHING: SignerFacts = { deliversPreimages: false, hasChainView: false };
const ALL: SignerFacts = { deliversPreimages: true, hasChainView: true };

const effective = (text: string, facts = NOTHING, name = 'bitcoin'): EffectivePolicy =>
  effectivePolicy(parse(text), network(name), facts, RULES);
const ruleOf = (of: EffectivePolicy, tag: string) => of.rules.find((rule) => rule.tag === tag)!;
const limitOf = (of: EffectivePolicy, key: string) => of.limits.find((value) => value.key === key)!;
/** The line of a text that holds a name. */
const lineWith = (text: string, name: string): string =>
  text
    .split('\n')
    .find((line) => line.includes(name))
    ?.trim()
    .replace(/ {2,}/g, ' | ') ?? '';

const TEXT = `[policy]
preset = "wallet"
funding_max_sat = 16_777_215
fee_velocity = { amount_sat = 5_000, per = "week" }
[policy.rules]
"policy-onchain-max-*" = "warn"
[policy.peer."${PEER}"]
zero_conf = true
htlc_count_max = 30
rules = { policy-onchain-max-size = "error" }
[policy.channel."${FUNDING}"]
shared_allowlist = true
[approvals]
auto = "none"
[allowlist]
payees = ["${PEER}"]
`;

describe('the policy in force', () => {
  it('is the policy that the signer gets', () => {
    expect(effective(TEXT).policy).toEqual(policy(TEXT));
  });

  it('has every limit, with its unit and origin', () => {
    const { limits } = effective(TEXT);
    expect(limits.map(({ key }) => key)).toEqual(LIMIT_NAMES.map(tomlKey));
    expect(limitOf(effective(TEXT), 'funding_max_sat')).toEqual({
      key: 'funding_max_sat',
      value: 16_777_215n,
      unit: 'sat',
      origin: { kind: 'file', file: FILE, line: 3 },
    });
    expect(limitOf(effective(TEXT), 'fee_velocity').origin).toMatchObject({ line: 4 });
    expect(limitOf(effective(TEXT), 'payment_velocity').value).toBeNull();
    expect(limitOf(effective('', NOTHING, 'signet'), 'cltv_delta_blocks')).toEqual({
      key: 'cltv_delta_blocks',
      value: 6,
      unit: 'blocks',
      origin: { kind: 'default', network: 'signet' },
    });
  });

  it('has the origin of the preset, of approvals and of entries', () => {
    expect(effective(TEXT).presetOrigin).toMatchObject({ kind: 'file', line: 2 });
    expect(effective('').presetOrigin).toEqual({ kind: 'default', network: 'bitcoin' });
    const { approvals, allowlist } = effective(TEXT);
    expect(approvals).toMatchObject([
      { key: 'auto', value: 'none', origin: { line: 14 } },
      { key: 'auto_payment_velocity', value: null, origin: { kind: 'default' } },
      { key: 'expiry_hours', value: 72, origin: { kind: 'default' } },
    ]);
    expect(effective('').approvals[0]).toMatchObject({ value: 'allowlist', origin: { kind: 'preset' } });
    expect(allowlist).toEqual([
      { kind: 'payee', text: PEER, origin: { kind: 'file', file: FILE, line: 16 } },
    ]);
  });

  it('has what each rule does, whose will that is, and why', () => {
    const { rules } = effective(TEXT);
    expect(rules.map(({ tag }) => tag)).toEqual(RULES.map(({ tag }) => tag));
    const of = (tag: string) => ruleOf(effective(TEXT), tag);
    expect(of('policy-onchain-max-size')).toMatchObject({ does: 'warn', origin: { kind: 'file', line: 6 } });
    expect(of('policy-onchain-fee-range')).toMatchObject({
      does: 'error',
      origin: { kind: 'default' },
      why: null,
    });
    expect(of('policy-sighash')).toMatchObject({ does: 'error', kind: 'hard' });
    expect(of('policy-onchain-no-unknown-outputs').why).toBe('until it is approved');
    expect(of('policy-no-routing')).toMatchObject({
      does: 'error',
      origin: { kind: 'preset', preset: 'wallet' },
    });
    expect(of('policy-merchant-no-sends')).toMatchObject({ does: 'off', origin: { kind: 'preset' } });
    expect(of('policy-commitment-spends-active-utxo').why).toBe('not judged: no chain view, see [chain]');
    expect(ruleOf(effective(TEXT, ALL), 'policy-commitment-spends-active-utxo').why).toBeNull();
  });

  it('has what peers and channels have of their own', () => {
    expect(effective(TEXT).overrides).toEqual([
      {
        of: 'peer',
        id: PEER,
        values: [
          { key: 'zero_conf', value: true, unit: '', origin: { kind: 'file', file: FILE, line: 8 } },
          { key: 'htlc_count_max', value: 30, unit: 'HTLCs', origin: { kind: 'file', file: FILE, line: 9 } },
        ],
        rules: [
          {
            tag: 'policy-onchain-max-size',
            does: 'error',
            origin: { kind: 'file', file: FILE, line: 10 },
            voidsPromise: false,
          },
        ],
      },
      {
        of: 'channel',
        id: FUNDING,
        values: [
          { key: 'shared_allowlist', value: true, unit: '', origin: { kind: 'file', file: FILE, line: 12 } },
        ],
        rules: [],
      },
    ]);
  });

  it('is found for the registered rules when none are given', () => {
    const { rules, promise } = effectivePolicy(parse(''), network('bitcoin'));
    expect(rules.length).toBeGreaterThan(20);
    expect(promise.state).toBe('limited');
  });
});

describe(`${PREIMAGES} goes by the node side`, () => {
  it('warns until preimages are delivered, and refuses from then on', () => {
    const before = ruleOf(effective('policy.preset = "hub"'), PREIMAGES);
    expect(before).toMatchObject({ does: 'warn', voidsPromise: false, origin: { kind: 'default' } });
    expect(before.why).toBe('the node side does not deliver preimages; the companion plugin does');
    const after = ruleOf(effective('policy.preset = "hub"', ALL), PREIMAGES);
    expect(after).toMatchObject({ does: 'error', why: 'the node side delivers preimages' });
  });

  it('does what the operator set, whatever the node side does', () => {
    const set = (severity: string, facts: SignerFacts) =>
      ruleOf(effective(`[policy.rules]\n${PREIMAGES} = "${severity}"`, facts), PREIMAGES);
    expect(set('error', NOTHING)).toMatchObject({ does: 'error', why: null, origin: { kind: 'file' } });
    expect(set('warn', ALL)).toMatchObject({ does: 'warn', why: null, voidsPromise: true });
  });

  it('warns under permissive, as every soft rule', () => {
    expect(ruleOf(effective('', ALL, 'regtest'), PREIMAGES)).toMatchObject({
      does: 'warn',
      voidsPromise: true,
      why: null,
    });
  });
});

describe('the promise', () => {
  it('is kept when nothing is turned down or missing', () => {
    expect(effective('', ALL).promise).toEqual({ state: 'kept', reasons: [] });
    expect(effective('[policy.rules]\npolicy-onchain-max-size = "warn"', ALL).promise.state).toBe('kept');
    expect(effective('[policy.rules]\npolicy-velocity-transferred = "warn"', ALL).promise.state).toBe('kept');
  });

  it('is kept by a rule that refuses for one peer', () => {
    const of = effective(`[policy.peer.${PEER}.rules]\npolicy-onchain-fee-range = "error"`, ALL);
    expect(of.promise.state).toBe('kept');
    expect(of.overrides[0]?.rules[0]).toMatchObject({ does: 'error', voidsPromise: false });
  });

  it('is limited by what is not judged yet', () => {
    const { state, reasons } = effective('').promise;
    expect(state).toBe('limited');
    expect(reasons).toEqual([
      expect.stringMatching(/settled-preimage only warns: the node side does not deliver preimages/),
      expect.stringMatching(/^no chain view \(\[chain\] names no source\)/),
    ]);
    expect(effective('', { ...ALL, hasChainView: false }).promise.reasons).toHaveLength(1);
  });

  it.each([
    [
      'a rule it rests on',
      '[policy.rules]\npolicy-onchain-fee-range = "warn"',
      'policy-onchain-fee-range is at warn',
    ],
    ['the preimage rule by hand', `[policy.rules]\n${PREIMAGES} = "warn"`, `${PREIMAGES} is at warn`],
    [
      'a rule for one peer',
      `[policy.peer.${PEER}.rules]\npolicy-onchain-fee-range = "warn"`,
      `policy-onchain-fee-range is at warn for peer ${PEER}`,
    ],
    [
      'everything approved',
      `[policy]\npermissive_on_mainnet = "${MAINNET_OVERRIDE}"\n[approvals]\nauto = "all"`,
      'auto = "all" approves everything',
    ],
  ])('is void by %s', (_, text, reason) => {
    const of = effective(text, ALL);
    expect(of.promise).toEqual({ state: 'void', reasons: [reason] });
    expect(policyNotices(of)[0]).toBe(`THE PROMISE IS VOID, a compromised node may take funds: ${reason}`);
    expect(renderPolicy(of)).toContain(
      `THE PROMISE IS VOID: a compromised node may take funds\n  - ${reason}\n`,
    );
  });

  it('is void under permissive, in one line', () => {
    const of = effective('', ALL, 'regtest');
    expect(of.promise.state).toBe('void');
    expect(of.promise.reasons).toEqual([
      'the preset permissive only warns and approves everything',
      'auto = "all" approves everything',
    ]);
    expect(policyNotices(of)).toEqual([
      'POLICY IS PERMISSIVE on regtest, THE PROMISE IS VOID: soft rules only warn and every payment and spend is approved',
    ]);
  });
});

describe('the lines of a start', () => {
  it('name what is missing, and a shallow funding on mainnet', () => {
    expect(policyNotices(effective(''))).toEqual([
      expect.stringContaining('settled-preimage only warns'),
      expect.stringContaining('no chain view ([chain] names no source)'),
      expect.stringContaining('funding_depth_blocks is 1:'),
    ]);
    expect(policyNotices(effective('policy.funding_depth_blocks = 2', ALL))).toHaveLength(1);
    expect(policyNotices(effective('policy.funding_depth_blocks = 3', ALL))).toEqual([]);
    expect(policyNotices(effective('', ALL, 'signet'))).toEqual([]);
  });
});

describe('as text', () => {
  const text = renderPolicy(effective(TEXT));

  it('has a line for each value, with unit and origin', () => {
    expect(text.split('\n')[0]).toBe(`policy on bitcoin: preset wallet (${FILE} line 2)`);
    expect(lineWith(text, 'funding_max_sat')).toBe(`funding_max_sat | 16_777_215 sat | ${FILE} line 3`);
    expect(lineWith(text, 'fee_velocity')).toBe(`fee_velocity | 5_000 sat per week | ${FILE} line 4`);
    expect(lineWith(text, 'payment_velocity')).toBe('payment_velocity | no limit | default on bitcoin');
    expect(lineWith(text, 'channels_max')).toBe('channels_max | 1_000 channels | default on bitcoin');
    expect(lineWith(text, 'zero_conf')).toBe(`zero_conf | true | ${FILE} line 8`);
    expect(lineWith(text, 'expiry_hours')).toBe('expiry_hours | 72 hours | default on bitcoin');
    for (const key of LIMIT_NAMES.map(tomlKey)) expect(text).toContain(`  ${key} `);
  });

  it('has a line for each rule, with the reason', () => {
    expect(lineWith(text, 'policy-sighash ')).toBe('policy-sighash | error | hard rule');
    expect(lineWith(text, 'policy-onchain-max-size')).toBe(`policy-onchain-max-size | warn | ${FILE} line 6`);
    expect(lineWith(text, `  ${PREIMAGES}`)).toBe(
      `${PREIMAGES} | warn | default on bitcoin: the node side does not deliver preimages; the companion plugin does`,
    );
    expect(lineWith(text, 'spends-active-utxo')).toContain('not judged: no chain view, see [chain]');
    expect(lineWith(text, 'policy-merchant-no-sends')).toBe('policy-merchant-no-sends | off | preset wallet');
  });

  it('shouts beside a rule that voids the promise', () => {
    const shown = renderPolicy(effective('[policy.rules]\n"policy-onchain-fee-*" = "warn"'));
    expect(lineWith(shown, '  policy-onchain-fee-range')).toBe(
      `policy-onchain-fee-range | WARN, THE PROMISE IS VOID | ${FILE} line 2`,
    );
  });

  it('says when the promise holds, in full or in part', () => {
    expect(text).toContain(
      'The promise holds, except for what is not judged:\n  - policy-commitment-payment-settled',
    );
    expect(renderPolicy(effective('', ALL))).toContain('The promise holds: every rule it rests on refuses.');
    expect(renderPolicy(effective('', ALL))).toContain('Allowlist of the file\n  empty\n');
  });
});

describe('as JSON', () => {
  it('is the same, with amounts as decimal strings', () => {
    const json = JSON.parse(JSON.stringify(policyJson(effective(TEXT))));
    expect(json).toMatchObject({
      network: 'bitcoin',
      preset: { value: 'wallet', origin: { kind: 'file', file: FILE, line: 2 } },
      promise: { state: 'limited' },
    });
    const values = Object.fromEntries(json.limits.map((one: { key: string }) => [one.key, one]));
    expect(values.funding_max_sat).toMatchObject({ value: '16777215', unit: 'sat' });
    expect(values.fee_velocity.value).toEqual({ amount_sat: '5000', per: 'week' });
    expect(values.payment_velocity.value).toBeNull();
    expect(values.channels_max.value).toBe(1000);
    expect(json.rules).toHaveLength(RULES.length);
    expect(json.rules[0]).toEqual({
      tag: 'policy-onchain-max-size',
      law: 5,
      kind: 'soft',
      does: 'warn',
      origin: { kind: 'file', file: FILE, line: 6 },
      carriesPromise: false,
      voidsPromise: false,
      why: null,
    });
    expect(json.overrides[0].rules).toHaveLength(1);
    expect(json.allowlist).toHaveLength(1);
  });
});

describe('what an operator’s request gets', () => {
  const state: StateReader = { read: () => undefined };
  const config = parseConfig('policy.preset = "hub"', FILE);

  it('is the policy in force by what the signer knows of its node', () => {
    const of = effectivePolicy(config, network('signet'), NOTHING);
    expect(policyText(config, network('signet'), state, 'text')).toBe(renderPolicy(of));
    const json = policyText(config, network('signet'), state, 'json');
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(policyJson(of))));
  });
});

describe('what the signer knows of its node', () => {
  /** A state with these records and no others. */
  const state = (records: Readonly<Record<string, unknown>>): StateReader => ({
    read: (kind, id) => {
      const value = records[`${kind.name}/${id}`];
      return value === undefined ? undefined : { version: 1, value: value as never };
    },
  });

  it('is read from the node record', () => {
    expect(signerFacts(state({}))).toEqual(NOTHING);
    expect(signerFacts(state({ 'node/node': EMPTY_NODE }))).toEqual(NOTHING);
    const delivering = { ...EMPTY_NODE, deliversPreimages: true };
    expect(signerFacts(state({ 'node/node': delivering }))).toEqual({ ...NOTHING, deliversPreimages: true });
  });

  it('has a view of the chain once it follows one', () => {
    expect(signerFacts(state({ 'chain/chain': {} }))).toEqual({ ...NOTHING, hasChainView: true });
  });
});
