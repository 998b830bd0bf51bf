/** [policy], [approvals] and [allowlist]: every key right once and wrong once, and what must not be ignored. */
import { defaultLimits, type Limits, limitsFor, NETWORKS, severityOf } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { LIMIT_FORMS, LIMIT_NAMES, MAINNET_OVERRIDE, tomlKey } from '../src/index.ts';
import { FUNDING, faultOf, network, PEER, parse, policy, RULES } from './config-support.ts';

const OVERRIDE = `permissive_on_mainnet = "${MAINNET_OVERRIDE}"`;
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const scope = { peerId: hex(PEER), fundings: [FUNDING] };

describe('a limit', () => {
  it('has its key in snake case and its unit in it', () => {
    expect(LIMIT_NAMES.map(tomlKey)).toEqual(
      expect.arrayContaining(['contest_delay_min_blocks', 'funding_max_sat']),
    );
    expect([...LIMIT_NAMES].sort()).toEqual(Object.keys(defaultLimits(network('bitcoin'))).sort());
    const unitless =
      /_(?:blocks|sat|msat|ppm|percent|per_kw|velocity)$|^(?:channels|htlc_count|onchain_weight|\w+_blocks|\w+_seconds)_max$|^wallet_index_window$/;
    for (const name of LIMIT_NAMES) expect(tomlKey(name)).toMatch(unitless);
  });

  it('has a default inside its range on every network', () => {
    for (const one of NETWORKS) {
      const limits = defaultLimits(one);
      for (const name of LIMIT_NAMES) {
        const { form } = LIMIT_FORMS[name];
        const value = limits[name];
        if (form.kind === 'velocity' || typeof value === 'object') continue;
        expect(value >= form.min && value <= form.max, name).toBe(true);
      }
    }
  });

  it.each(LIMIT_NAMES)('%s is set by its key', (name) => {
    const { form } = LIMIT_FORMS[name];
    const key = tomlKey(name);
    if (form.kind === 'velocity') {
      const set = policy(`[policy]\n${key} = { amount_sat = 1_234, per = "week" }`);
      expect(set.limits[name]).toEqual({ amountSat: 1234n, per: 'week' });
      return;
    }
    for (const value of [form.min, form.max]) {
      expect(parse(`[policy]\n${key} = ${value}`).limits).toEqual({ [name]: value });
    }
  });

  it.each(LIMIT_NAMES)('%s is refused out of range or of another form, by its line', (name) => {
    const { form, unit } = LIMIT_FORMS[name];
    const key = tomlKey(name);
    if (form.kind === 'velocity') {
      const velocity = 'an amount and a window: { amount_sat = 100_000, per = "day" }';
      const at = (text: string) => faultOf(`[policy]\n\n${key} = ${text}`);
      expect(at('5')).toBe(`3: "policy.${key}" is 5, expected ${velocity}`);
      expect(at('{ amount_sat = 5 }')).toBe(`3: "policy.${key}.per" is missing, expected ${velocity}`);
      expect(at('{ amount_sat = -1, per = "day" }')).toContain(
        `"policy.${key}.amount_sat" is -1, expected a whole`,
      );
      expect(at('{ amount_sat = 1, per = "dya" }')).toBe(
        `3: "policy.${key}.per" is "dya", expected one of "hour", "day", "week"; did you mean "day"?`,
      );
      expect(at('{ amount_sats = 1, amount_sat = 1, per = "day" }')).toBe(
        `3: unknown key "policy.${key}.amount_sats"; did you mean "amount_sat"?`,
      );
      return;
    }
    const range = `a whole number from ${form.min} to ${form.max} (${unit})`;
    for (const wrong of [Number(form.min) - 1, Number(form.max) + 1, 0.5]) {
      expect(faultOf(`[policy]\n\n${key} = ${wrong}`)).toBe(
        `3: "policy.${key}" is ${wrong}, expected ${range}`,
      );
    }
    expect(faultOf(`[policy]\n${key} = "1"`)).toBe(`2: "policy.${key}" is "1", expected ${range}`);
  });

  it('with a mistyped key or unit names the nearest', () => {
    expect(faultOf('[policy]\nfunding_max = 1')).toBe(
      '2: unknown key "policy.funding_max"; did you mean "funding_max_sat"?',
    );
    expect(faultOf('[policy]\nfunding_max_msat = 1')).toBe(
      '2: unknown key "policy.funding_max_msat"; did you mean "funding_max_sat"?',
    );
    expect(faultOf('funding_max_sat = 1')).toBe(
      '1: unknown key "funding_max_sat"; "funding_max_sat" belongs below [policy]',
    );
    expect(faultOf('[approvals]\nzero_conf = true')).toBe(
      '2: unknown key "approvals.zero_conf"; "zero_conf" belongs below [policy.peer."<node id>"] or [policy.channel."<funding txid>:<output>"]',
    );
  });
});

describe('bounds that contradict each other', () => {
  it.each([
    [
      '[policy]\ncontest_delay_min_blocks = 300\n\ncontest_delay_max_blocks = 200',
      '2: "contest_delay_min_blocks" is 300 (line 2), above "contest_delay_max_blocks", which is 200 (line 4)',
    ],
    [
      '[policy]\ncontest_delay_max_blocks = 100',
      '2: "contest_delay_min_blocks" is 144 (the default on bitcoin), above "contest_delay_max_blocks", which is 100 (line 2)',
    ],
    [
      '[policy]\nfeerate_min_per_kw = 25_001',
      '2: "feerate_min_per_kw" is 25001 (line 2), above "feerate_max_per_kw", which is 25000 (the default on bitcoin)',
    ],
    [
      '[policy]\nfeerate_max_peer_pays_per_kw = 252',
      '2: "feerate_min_per_kw" is 253 (the default on bitcoin), above "feerate_max_peer_pays_per_kw", which is 252 (line 2)',
    ],
    [
      '[policy]\nonchain_feerate_min_per_kw = 300\nonchain_feerate_max_per_kw = 299',
      '2: "onchain_feerate_min_per_kw" is 300 (line 2), above "onchain_feerate_max_per_kw", which is 299 (line 3)',
    ],
    [
      '[policy]\ncltv_max_blocks = 33',
      '2: "cltv_delta_blocks" is 34 (the default on bitcoin), above "cltv_max_blocks", which is 33 (line 2)',
    ],
    [
      '[policy]\ncltv_margin_blocks = 60\ncltv_max_blocks = 50',
      '2: "cltv_margin_blocks" is 60 (line 2), above "cltv_max_blocks", which is 50 (line 3)',
    ],
    [
      '[policy]\nclaim_margin_blocks = 35',
      '2: "claim_margin_blocks" is 35 (line 2), above "cltv_delta_blocks", which is 34 (the default on bitcoin)',
    ],
    [
      '[policy]\npayment_depth_blocks = 13',
      '2: "payment_depth_blocks" is 13 (line 2), above "claim_margin_blocks", which is 12 (the default on bitcoin)',
    ],
    [
      '[policy]\nrouting_fee_ppm = 50_001',
      '2: "routing_fee_ppm" is 50001 (line 2), above "routing_fee_max_ppm", which is 50000 (the default on bitcoin)',
    ],
    [
      `[policy]\ncontest_delay_min_blocks = 150\n[policy.peer."${PEER}"]\ncontest_delay_max_blocks = 149`,
      '2: "contest_delay_min_blocks" is 150 (line 2), above "contest_delay_max_blocks", which is 149 (line 4)',
    ],
    [
      `[policy.channel."${FUNDING}"]\nfeerate_min_per_kw = 30_000`,
      '2: "feerate_min_per_kw" is 30000 (line 2), above "feerate_max_per_kw", which is 25000 (the default on bitcoin)',
    ],
  ])('%j', (text, message) => {
    expect(faultOf(text)).toBe(message);
  });

  it('may be equal', () => {
    const { limits } = policy('[policy]\ncontest_delay_min_blocks = 200\ncontest_delay_max_blocks = 200');
    expect([limits.contestDelayMinBlocks, limits.contestDelayMaxBlocks]).toEqual([200, 200]);
  });

  it('contradict by the defaults of the network', () => {
    const text = '[policy]\ncontest_delay_max_blocks = 100';
    expect(policy(text, 'signet').limits.contestDelayMaxBlocks).toBe(100);
    expect(() => policy(text, 'bitcoin')).toThrow('the default on bitcoin');
  });
});

describe('[policy.rules]', () => {
  const rules = (text: string) => parse(`[policy.rules]\n${text}`).severities;

  it('sets soft rules by tag', () => {
    expect(
      [...rules('"policy-onchain-max-size" = "warn"\npolicy-onchain-fee-range = "error"')].sort(),
    ).toEqual([
      ['policy-onchain-fee-range', 'error'],
      ['policy-onchain-max-size', 'warn'],
    ]);
  });

  it('sets soft rules by prefix, and leaves hard, approver and optional ones as they are', () => {
    expect([...rules('"policy-*" = "warn"').keys()].sort()).toEqual(
      RULES.filter(({ severity, presets }) => severity === 'soft' && presets === undefined)
        .map(({ tag }) => tag)
        .sort(),
    );
    expect([...rules('"policy-onchain-fee-*" = "warn"').keys()]).toEqual([
      'policy-onchain-fee-range',
      'policy-onchain-fee-velocity',
    ]);
  });

  it('takes the exact tag before a prefix, and the longer prefix before the shorter, in any order', () => {
    const lines = [
      '"policy-*" = "warn"',
      '"policy-onchain-fee-*" = "error"',
      '"policy-onchain-fee-velocity" = "warn"',
    ];
    for (const order of [lines, [...lines].reverse()]) {
      const set = rules(order.join('\n'));
      expect(set.get('policy-onchain-max-size')).toBe('warn');
      expect(set.get('policy-onchain-fee-range')).toBe('error');
      expect(set.get('policy-onchain-fee-velocity')).toBe('warn');
    }
  });

  it('switches optional rules by their exact tags', () => {
    const noRouting = RULES.find(({ tag }) => tag === 'policy-no-routing')!;
    expect(severityOf(policy('[policy]\npreset = "hub"'), noRouting)).toBe('off');
    expect(severityOf(policy('[policy.rules]\npolicy-no-routing = "error"'), noRouting)).toBe('error');
    expect(severityOf(policy('policy.preset = "wallet"'), noRouting)).toBe('error');
    const off = '[policy]\npreset = "wallet"\n[policy.rules]\npolicy-no-routing = "off"';
    expect(severityOf(policy(off), noRouting)).toBe('off');
  });

  it.each([
    [
      'policy-onchain-max-size = "warning"',
      '2: "policy.rules.policy-onchain-max-size" is "warning", expected one of "error", "warn", "off"; did you mean "warn"?',
    ],
    [
      'policy-onchain-max-size = true',
      '2: "policy.rules.policy-onchain-max-size" is true, expected one of "error", "warn", "off"',
    ],
    [
      'policy-onchain-max-sise = "warn"',
      '2: unknown rule "policy-onchain-max-sise"; did you mean "policy-onchain-max-size"?',
    ],
    ['something = "warn"', '2: unknown rule "something"; docs/policies.md lists them'],
    ['__proto__ = "warn"', '2: unknown rule "__proto__"; docs/policies.md lists them'],
    [
      'policy-sighash = "error"',
      '2: "policy-sighash" is a hard rule: nothing else would stop what it stops, so it always refuses and no line here changes that',
    ],
    [
      'policy-onchain-no-unknown-outputs = "warn"',
      '2: "policy-onchain-no-unknown-outputs" is not set to a severity: what it stops passes once it is approved; [approvals] and [allowlist] say what is approved unasked',
    ],
    [
      'policy-onchain-fee-range = "off"',
      '2: "policy-onchain-fee-range" is "off": only optional rules can be off; "warn" lets the request pass and records it',
    ],
    ['"policy-*" = "off"', '2: "policy-*" is "off": only an optional rule can be, by its exact tag'],
    ['"policy-sighash*" = "warn"', '2: "policy-sighash*": no rule of this prefix can be set: they are hard'],
    [
      '"policy-onchain-no-*" = "warn"',
      '2: "policy-onchain-no-*": no rule of this prefix can be set: they are passed by approvals',
    ],
    [
      '"policy-merchant-*" = "warn"',
      '2: "policy-merchant-*": no rule of this prefix can be set: they are optional (use the exact tag)',
    ],
    [
      '"policy-onchian-*" = "warn"',
      '2: no rule begins with "policy-onchian-"; did you mean "policy-onchain-*"?',
    ],
    ['"x*" = "warn"', '2: no rule begins with "x"; did you mean "p*"?'],
    [
      '"nothing-of-the-kind*" = "warn"',
      '2: no rule begins with "nothing-of-the-kind"; docs/policies.md lists them',
    ],
  ])('refuses %j', (line, message) => {
    expect(faultOf(`[policy.rules]\n${line}`)).toBe(message);
  });

  it('is a table', () => {
    expect(faultOf('[policy]\nrules = ["policy-sighash"]')).toBe(
      '2: "policy.rules" is a list, expected a table: rule tags with "error", "warn" or "off"',
    );
  });
});

describe('overrides', () => {
  const text = `
[policy]
funding_max_sat = 1_000

[policy.peer."${PEER}"]
zero_conf = true
shared_allowlist = true
funding_max_sat = 2_000
htlc_count_max = 30
transfer_velocity = { amount_sat = 5, per = "hour" }

[policy.peer."${PEER}".rules]
"policy-onchain-max-size" = "warn"
policy-no-routing = "error"

[policy.channel."${FUNDING}"]
funding_max_sat = 3_000
rules = { policy-onchain-max-size = "error" }
`;

  it('hold limits, flags and rules for a peer or a channel, the channel first', () => {
    const set = policy(text);
    expect([...set.peers.keys()]).toEqual([PEER]);
    expect(set.peers.get(PEER)).toEqual({
      limits: { fundingMaxSat: 2000n, htlcCountMax: 30, transferVelocity: { amountSat: 5n, per: 'hour' } },
      severities: new Map([
        ['policy-onchain-max-size', 'warn'],
        ['policy-no-routing', 'error'],
      ]),
      zeroConf: true,
      sharedAllowlist: true,
    });
    expect(set.channels.get(FUNDING)).toMatchObject({ zeroConf: false, sharedAllowlist: false });
    expect(limitsFor(set, scope)).toMatchObject({ fundingMaxSat: 3000n, htlcCountMax: 30 });
    expect(limitsFor(set, null).fundingMaxSat).toBe(1000n);
    const maxSize = RULES.find(({ tag }) => tag === 'policy-onchain-max-size')!;
    expect(severityOf(set, maxSize, scope)).toBe('error');
    expect(severityOf(set, maxSize, { ...scope, fundings: [] })).toBe('warn');
    expect(severityOf(set, maxSize)).toBe('error');
  });

  const channelNames = LIMIT_NAMES.filter((name) => LIMIT_FORMS[name].scope === 'channel');
  it.each(channelNames)('may set %s', (name) => {
    const { form } = LIMIT_FORMS[name];
    const value = form.kind === 'velocity' ? '{ amount_sat = 1, per = "day" }' : form.max;
    const limits = parse(`[policy.channel."${FUNDING}"]\n${tomlKey(name)} = ${value}`).channels.get(
      FUNDING,
    )?.limits;
    expect(Object.keys(limits ?? {})).toEqual([name]);
    if (form.kind === 'velocity') return;
    expect(limits).toEqual({ [name]: form.max });
    const wrong = `[policy.channel."${FUNDING}"]\n${tomlKey(name)} = -1`;
    expect(faultOf(wrong)).toContain(
      `2: "policy.channel.${FUNDING}.${tomlKey(name)}" is -1, expected a whole number`,
    );
  });

  const nodeNames: readonly (keyof Limits)[] = LIMIT_NAMES.filter(
    (name) => LIMIT_FORMS[name].scope === 'node',
  );
  it.each(nodeNames)('may not set %s, which is one for the node', (name) => {
    const key = tomlKey(name);
    expect(faultOf(`[policy.peer."${PEER}"]\n${key} = 1`)).toBe(
      `2: "policy.peer.${PEER}.${key}": "${key}" is one for the whole node: it belongs below [policy]`,
    );
  });

  const nodeId = 'expected a node id: 66 hex digits in lower case that begin with 02 or 03';
  const funding =
    'expected a funding: its txid as explorers show it, 64 hex digits in lower case, a colon, the number of the output';
  it.each([
    ['[policy.peer."02ab"]\nzero_conf = true', `1: "policy.peer.02ab" does not name a peer, ${nodeId}`],
    [
      `[policy.peer."${PEER.toUpperCase()}"]`,
      `1: "policy.peer.${PEER.toUpperCase()}" does not name a peer, ${nodeId}`,
    ],
    [
      `[policy.peer."04${PEER.slice(2)}"]`,
      `1: "policy.peer.04${PEER.slice(2)}" does not name a peer, ${nodeId}`,
    ],
    ['[policy.peer]\nalice = { zero_conf = true }', `2: "policy.peer.alice" does not name a peer, ${nodeId}`],
    ['[policy.peer.__proto__]', `1: "policy.peer.__proto__" does not name a peer, ${nodeId}`],
    [`[policy.channel."${PEER}"]`, `1: "policy.channel.${PEER}" does not name a channel, ${funding}`],
    [
      `[policy.channel."${FUNDING}0x"]`,
      `1: "policy.channel.${FUNDING}0x" does not name a channel, ${funding}`,
    ],
    [
      `[policy.channel."${FUNDING.replace(':1', ':01')}"]`,
      `1: "policy.channel.${FUNDING.replace(':1', ':01')}" does not name a channel, ${funding}`,
    ],
    ['[policy]\npeer = 1', '2: "policy.peer" is 1, expected tables: [policy.peer."<node id>"]'],
    [
      '[policy]\nchannel = []',
      '2: "policy.channel" is a list, expected tables: [policy.channel."<funding txid>:<output>"]',
    ],
    [`[policy.peer]\n${PEER} = 1`, `2: "policy.peer.${PEER}" is 1, expected a table of limits and rules`],
    [
      `[policy.peer."${PEER}"]\nzero_cnf = true`,
      `2: unknown key "policy.peer.${PEER}.zero_cnf"; did you mean "zero_conf"?`,
    ],
    [
      `[policy.peer."${PEER}"]\nzero_conf = "true"`,
      `2: "policy.peer.${PEER}.zero_conf" is "true", expected true or false, without quotes`,
    ],
    [
      `[policy.peer."${PEER}"]\nshared_allowlist = 1`,
      `2: "policy.peer.${PEER}.shared_allowlist" is 1, expected true or false, without quotes`,
    ],
    [
      `[policy.peer."${PEER}"]\npreset = "hub"`,
      `2: unknown key "policy.peer.${PEER}.preset"; "preset" belongs below [policy]`,
    ],
    [
      `[policy.peer."${PEER}".rules]\npolicy-onchain-fee-rang = "warn"`,
      '2: unknown rule "policy-onchain-fee-rang"; did you mean "policy-onchain-fee-range"?',
    ],
    [
      `[policy.peer."${PEER}".rules]\npolicy-sighash = "warn"`,
      expect.stringContaining('2: "policy-sighash" is a hard rule'),
    ],
  ])('refuse %j', (toml, message) => {
    expect(faultOf(toml)).toEqual(message);
  });
});

describe('[approvals]', () => {
  it('is the default of the preset without a line', () => {
    expect(policy('').approvals).toEqual({
      auto: 'allowlist',
      autoPaymentVelocity: null,
      expirySeconds: 259_200,
    });
    expect(policy('', 'regtest').approvals.auto).toBe('all');
  });

  it('sets what is written and leaves the rest', () => {
    expect(policy('[approvals]\nexpiry_hours = 1').approvals).toMatchObject({
      auto: 'allowlist',
      expirySeconds: 3600,
    });
    expect(policy('[approvals]\nauto = "none"', 'regtest').approvals.auto).toBe('none');
    const budget = 'auto = "velocity"\nauto_payment_velocity = { amount_sat = 100_000, per = "day" }';
    expect(policy(`[approvals]\n${budget}`).approvals).toEqual({
      auto: 'velocity',
      autoPaymentVelocity: { amountSat: 100_000n, per: 'day' },
      expirySeconds: 259_200,
    });
  });

  it.each([
    [
      'auto = "everything"',
      '2: "approvals.auto" is "everything", expected one of "none", "allowlist", "velocity", "all"',
    ],
    [
      'auto = "allow_list"',
      '2: "approvals.auto" is "allow_list", expected one of "none", "allowlist", "velocity", "all"; did you mean "allowlist"?',
    ],
    ['expiry_hours = 0', '2: "approvals.expiry_hours" is 0, expected a whole number from 1 to 8760 (hours)'],
    [
      'lifetime = 1',
      '2: unknown key "approvals.lifetime"; known keys of [approvals]: auto, auto_payment_velocity, expiry_hours',
    ],
    ['expiry_hour = 1', '2: unknown key "approvals.expiry_hour"; did you mean "expiry_hours"?'],
    [
      'auto = "velocity"',
      '2: auto = "velocity" needs a budget beside it: auto_payment_velocity = { amount_sat = 100_000, per = "day" }',
    ],
    [
      'auto_payment_velocity = { amount_sat = 1, per = "day" }',
      '2: auto_payment_velocity has no effect with auto = "allowlist": write auto = "velocity", or remove the line',
    ],
  ])('refuses %j', (line, message) => {
    expect(faultOf(`[approvals]\n${line}`)).toBe(message);
  });

  it('has no budget beside what approves everything', () => {
    const budget = '[approvals]\nauto_payment_velocity = { amount_sat = 1, per = "day" }';
    expect(faultOf(budget, 'regtest')).toContain('2: auto_payment_velocity has no effect with auto = "all"');
  });

  it('is a table', () => {
    expect(faultOf('approvals = true')).toBe(
      '1: "approvals" is true, expected a table: [approvals] on a line of its own, its keys below',
    );
  });

  it('approves everything on mainnet only with the override', () => {
    expect(faultOf('[approvals]\nauto = "all"')).toBe(
      '2: auto = "all" approves everything and is refused on mainnet. If you accept that a compromised node can take all funds, ' +
        `write ${OVERRIDE} under [policy]`,
    );
    expect(policy(`[policy]\n${OVERRIDE}\n[approvals]\nauto = "all"`).approvals.auto).toBe('all');
    expect(policy('[approvals]\nauto = "all"', 'signet').approvals.auto).toBe('all');
  });
});

describe('[allowlist]', () => {
  const address = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
  const script = '0014751e76e8199196d454941c45d1b3a323f1433bd6';
  const xpub =
    'xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8';

  it('holds destinations and payees in their order', () => {
    const text = `[allowlist]\npayees = ["${PEER}"]\ndestinations = [\n  "${address}", "${script}",\n  "${xpub}",\n]`;
    expect(policy(text).allowlist).toEqual([
      { kind: 'address', text: address, addedAtSeconds: 0 },
      { kind: 'script', text: script, addedAtSeconds: 0 },
      { kind: 'xpub', text: xpub, addedAtSeconds: 0 },
      { kind: 'payee', text: PEER, addedAtSeconds: 0 },
    ]);
    expect(policy('').allowlist).toEqual([]);
    expect(policy('[allowlist]\ndestinations = []').allowlist).toEqual([]);
  });

  it.each([
    [
      `destinations = [\n"${script}",\n"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"]`,
      '4: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx" in destinations: this address is of another network than bitcoin',
    ],
    [
      `destinations = ["${address}",\n\n"${address.toUpperCase()}"]`,
      `4: "${address.toUpperCase()}" stands on the allowlist already, in line 2`,
    ],
    [
      `payees = [\n"alice"]`,
      '3: "alice" in payees: a payee is a node id: 66 hex digits in lower case that begin with 02 or 03',
    ],
    [
      `destinations = ["${PEER}"]`,
      `2: "${PEER}" in destinations: this is a node id or public key: node ids are payees`,
    ],
    ['destinations = "x"', '2: "allowlist.destinations" is "x", expected a list: ["…", "…"]'],
    ['destinations = [\n"x",\n5]', '4: "allowlist.destinations.1" is 5, expected a text in quotes'],
    ['payees = [""]', '2: "allowlist.payees.0" is "", expected a text in quotes'],
    ['payee = []', '2: unknown key "allowlist.payee"; did you mean "payees"?'],
  ])('refuses %j', (line, message) => {
    expect(faultOf(`[allowlist]\n${line}`)).toBe(message);
  });
});
