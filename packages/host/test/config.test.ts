import { NETWORKS, networkByName, policyOf } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../src/config/nearest.ts';
import {
  type Config,
  ConfigError,
  DEFAULT_CONFIG,
  MAINNET_OVERRIDE,
  PRESETS,
  parseConfig,
  policyFor,
} from '../src/index.ts';

const FILE = 'countersign.toml';
const parse = (text: string): Config => parseConfig(text, FILE);

function errorOf(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw new Error('not a ConfigError', { cause: error });
  }
  throw new Error('nothing was refused');
}

const messageOf = (text: string): string => errorOf(() => parse(text)).message;
const network = (name: string) => networkByName(name)!;

describe('a configuration', () => {
  it('may be empty', () => {
    expect(parse('')).toEqual(DEFAULT_CONFIG);
    expect(parse('# nothing\n\n')).toEqual(DEFAULT_CONFIG);
    expect(parse('[policy]\n')).toEqual(DEFAULT_CONFIG);
    expect(DEFAULT_CONFIG).toEqual({
      mode: 'inplace',
      remote: null,
      clnVersion: undefined,
      stateDirectory: 'countersign',
      witnessFile: undefined,
      messageBytesMax: 4_194_304,
      preset: undefined,
      permissiveOnMainnet: false,
      limits: {},
      severities: new Map(),
      peers: new Map(),
      channels: new Map(),
      approvals: {},
      allowlist: [],
      chain: { source: 'none' },
      heartbeat: { everySeconds: 30, file: 'heartbeat.json' },
      file: FILE,
      places: new Map(),
    });
  });

  it('may set every key', () => {
    const text = `
mode = "inplace"
cln_version = "v26.06.6-modded"
state_directory = "/srv/state of the signer"
witness_file = "/mnt/other/witness"
message_bytes_max = 8_388_608

[policy]
preset = "merchant"
permissive_on_mainnet = "${MAINNET_OVERRIDE}"

[heartbeat]
every_seconds = 3600
file = "/srv/www/heartbeat.json"
`;
    expect(parse(text)).toEqual({
      ...DEFAULT_CONFIG,
      clnVersion: 'v26.06.6-modded',
      stateDirectory: '/srv/state of the signer',
      witnessFile: '/mnt/other/witness',
      messageBytesMax: 8_388_608,
      preset: 'merchant',
      permissiveOnMainnet: true,
      heartbeat: { everySeconds: 3600, file: '/srv/www/heartbeat.json' },
      places: new Map([['policy.preset', 9]]),
    });
  });

  it.each([
    ['a table', '[policy]\npreset = "hub"\n'],
    ['a dotted key', 'policy.preset = "hub"\n'],
    ['an inline table', 'policy = { preset = "hub" }\n'],
    ['Windows line ends', '[policy]\r\npreset = "hub"\r\n'],
    ['a byte order mark', '\ufeff[policy]\npreset = "hub"\n'],
    ['literal quotes', "['policy']\n'preset' = 'hub'\n"],
  ])('may be written with %s', (_, text) => {
    expect(parse(text).preset).toBe('hub');
  });

  it.each([65_536, 4_194_304, 67_108_864])('takes message_bytes_max = %i', (bytes) => {
    expect(parse(`message_bytes_max = ${bytes}`).messageBytesMax).toBe(bytes);
  });
});

/** Each text with the whole message a new user sees. */
describe('an error says where, what is wrong and what to write', () => {
  const presets = '"permissive", "wallet", "merchant", "hub"';
  const bytes = 'a whole number from 65536 to 67108864';
  const version = 'one line of 1 to 128 printable characters, as "lightningd --version" prints it';
  const table = 'a table: [policy] on a line of its own, its keys below';
  const keys =
    'mode, cln_version, state_directory, witness_file, message_bytes_max, policy, approvals, allowlist, chain, remote, heartbeat';

  it.each([
    ['moed = "inplace"', `1: unknown key "moed"; did you mean "mode"?`],
    ['\n\nfolder = "x"', `3: unknown key "folder"; known keys: ${keys}`],
    ['state_dir = "x"', `1: unknown key "state_dir"; did you mean "state_directory"?`],
    ['state_directry = "x"', `1: unknown key "state_directry"; did you mean "state_directory"?`],
    ['# one\n[polcy]\npreset = "hub"', `2: unknown key "polcy"; did you mean "policy"?`],
    ['[logging]\nlevel = 1', `1: unknown key "logging"; known keys: ${keys}`],
    [
      'mode = "inplace"\n[policy]\npreset = "hub"\nallow = 1',
      `4: unknown key "policy.allow"; docs/configuration.md lists the keys of [policy]`,
    ],
    ['policy.presett = "hub"', `1: unknown key "policy.presett"; did you mean "preset"?`],
    ['\npolicy = { presett = "hub" }', `2: unknown key "policy.presett"; did you mean "preset"?`],
    ['preset = "hub"', `1: unknown key "preset"; "preset" belongs below [policy]`],
    [
      '[policy]\npreset = "hub"\nmessage_bytes_max = 65536',
      `3: unknown key "policy.message_bytes_max"; "message_bytes_max" belongs above the first [table]`,
    ],
    [
      '[policy]\npreset = "hub"\n[policy.more]\nx = 1',
      `3: unknown key "policy.more"; docs/configuration.md lists the keys of [policy]`,
    ],
    [
      '[heartbeat]\nfolder = "x"',
      '2: unknown key "heartbeat.folder"; known keys of [heartbeat]: every_seconds, file',
    ],
    [
      '[heartbeat]\nevery_seconds = 0',
      '2: "heartbeat.every_seconds" is 0, expected a whole number from 1 to 3600 (seconds)',
    ],
    ['[heartbeat]\nfile = ""', '2: "heartbeat.file" is "", expected the path of a file, in quotes'],
    ['every_seconds = 10', '1: unknown key "every_seconds"; "every_seconds" belongs below [heartbeat]'],
    ['__proto__ = 1', `1: unknown key "__proto__"; known keys: ${keys}`],
    [
      'mode = "inplce"',
      `1: "mode" is "inplce", expected one of "inplace", "remote"; did you mean "inplace"?`,
    ],
    ['mode = 5', `1: "mode" is 5, expected one of "inplace", "remote"`],
    ['cln_version = 26.06', `1: "cln_version" is 26.06, expected ${version}`],
    ['cln_version = ""', `1: "cln_version" is "", expected ${version}`],
    ['cln_version = """v26\nv27"""', `1: "cln_version" is "v26\\nv27", expected ${version}`],
    ['cln_version = 2026-06-01', `1: "cln_version" is a date, expected ${version}`],
    ['\n[cln_version]\na = 1', `2: "cln_version" is a table, expected ${version}`],
    ['state_directory = ""', `1: "state_directory" is "", expected the path of a directory, in quotes`],
    ['witness_file = ""', `1: "witness_file" is "", expected the path of a file, in quotes`],
    ['message_bytes_max = 65535', `1: "message_bytes_max" is 65535, expected ${bytes}`],
    ['message_bytes_max = 67108865', `1: "message_bytes_max" is 67108865, expected ${bytes}`],
    ['message_bytes_max = 70000.5', `1: "message_bytes_max" is 70000.5, expected ${bytes}`],
    ['message_bytes_max = -1', `1: "message_bytes_max" is -1, expected ${bytes}`],
    ['message_bytes_max = inf', `1: "message_bytes_max" is Infinity, expected ${bytes}`],
    ['message_bytes_max = nan', `1: "message_bytes_max" is NaN, expected ${bytes}`],
    ['message_bytes_max = "4 MiB"', `1: "message_bytes_max" is "4 MiB", expected ${bytes}`],
    [
      'message_bytes_max = 99999999999999999999',
      '1: not valid TOML: integer value cannot be represented losslessly',
    ],
    ['policy = "hub"', `1: "policy" is "hub", expected ${table}`],
    ['\n[[policy]]\npreset = "hub"', `2: "policy" is a list, expected ${table}`],
    [
      '[policy]\npreset = "hubb"\npreset_of_mine = 1',
      `2: "policy.preset" is "hubb", expected one of ${presets}; did you mean "hub"?`,
    ],
    [
      '[policy]\n\npreset = "Hub"',
      `3: "policy.preset" is "Hub", expected one of ${presets}; did you mean "hub"?`,
    ],
    ['policy.preset = "strict"', `1: "policy.preset" is "strict", expected one of ${presets}`],
    ['\npolicy = { preset = 1 }', `2: "policy.preset" is 1, expected one of ${presets}`],
    ['[policy]\npreset = ["hub"]', `2: "policy.preset" is a list, expected one of ${presets}`],
    [
      '[policy]\npermissive_on_mainnet = true',
      `2: "policy.permissive_on_mainnet" is true, expected "${MAINNET_OVERRIDE}" or no such line`,
    ],
    [
      'state_directory = "x"\n[policy]\npreset = hub',
      `3: not valid TOML: invalid value; text needs quotes: key = "value"`,
    ],
    [
      'mode = "inplace"\nmode = "inplace"',
      `2: not valid TOML: trying to redefine an already defined table or value`,
    ],
    [
      '[policy.rules]\npolicy-* = "warn"',
      `2: not valid TOML: illegal character in key; a key with * or : needs quotes: "policy-onchain-*" = "warn"`,
    ],
    ['mode', `1: not valid TOML: incomplete key-value: cannot find end of key`],
  ])('%j', (text, message) => {
    expect(messageOf(text)).toBe(`${FILE}:${message}`);
  });

  it('with code, file and line as facts', () => {
    expect(errorOf(() => parse('\nmode = 1'))).toMatchObject({
      name: 'ConfigError',
      code: 'config-invalid',
      facts: { file: FILE, line: 2 },
    });
    expect(errorOf(() => parse('\n=')).facts).toEqual({ file: FILE, line: 2 });
  });

  it('without repeating a long value or name', () => {
    expect(messageOf(`mode = "${'x'.repeat(100_000)}"`).length).toBeLessThan(200);
    expect(messageOf(`${'x'.repeat(100_000)} = 1`).length).toBeLessThan(300);
  });

  it('whatever the text is', () => {
    const part = fc.oneof(
      fc.constantFrom(
        '[policy]',
        '[[policy]]',
        'policy',
        'preset',
        'mode',
        '=',
        '\n',
        '"',
        '{',
        '}',
        '.',
        '1',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        try {
          parse(parts.join(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect(String(error)).toMatch(/countersign\.toml:\d+: /);
        }
      }),
    );
  });
});

describe('nearest', () => {
  it('finds a name at most two edits away, or a third of a long one', () => {
    expect(nearest('presets', ['preset', 'mode'])).toBe('preset');
    expect(nearest('mdoe', ['preset', 'mode'])).toBe('mode');
    expect(nearest('abcd', ['preset', 'mode'])).toBeNull();
    expect(nearest('message_byte_maximum', ['message_bytes_max'])).toBe('message_bytes_max');
    expect(nearest('', ['mode'])).toBeNull();
    expect(nearest('mode', [])).toBeNull();
  });

  it('or the one that continues it or that it continues', () => {
    expect(nearest('funding_max', ['funding_max_sat', 'fee'])).toBe('funding_max_sat');
    expect(nearest('warning', ['warn', 'error'])).toBe('warn');
    expect(nearest('fun', ['funding_max_sat'])).toBeNull();
    expect(nearest('onchain', ['onchain_fee_max_sat', 'onchain_weight_max'])).toBeNull();
  });
});

describe('the policy of a network', () => {
  it('is hub without a preset, but permissive on regtest', () => {
    const presets = NETWORKS.map(({ name }) => [name, policyFor(DEFAULT_CONFIG, network(name)).preset]);
    expect(Object.fromEntries(presets)).toEqual({
      bitcoin: 'hub',
      testnet: 'hub',
      testnet4: 'hub',
      signet: 'hub',
      regtest: 'permissive',
    });
  });

  it('is the preset that is set, whatever the network', () => {
    for (const preset of PRESETS.filter((one) => one !== 'permissive')) {
      for (const one of NETWORKS) {
        expect(policyFor(parse(`policy.preset = "${preset}"`), one)).toEqual(policyOf(one, preset));
      }
    }
  });

  it('is permissive off mainnet without more words', () => {
    for (const one of NETWORKS.filter(({ isMainnet }) => !isMainnet)) {
      expect(policyFor(parse('policy.preset = "permissive"'), one).preset).toBe('permissive');
    }
  });

  it('is not permissive on mainnet, unless the risk is named', () => {
    const asked = '[policy]\npreset = "permissive"\n';
    const error = errorOf(() => policyFor(parse(asked), network('bitcoin')));
    expect(error.message).toBe(
      'preset = "permissive" approves everything and is refused on mainnet. If you accept that a compromised node ' +
        'can take all funds, write permissive_on_mainnet = "a-compromised-node-can-take-all-funds" under [policy]',
    );
    expect(error.facts).toEqual({ preset: 'permissive', network: 'bitcoin' });
    const named = parse(`${asked}permissive_on_mainnet = "${MAINNET_OVERRIDE}"\n`);
    expect(policyFor(named, network('bitcoin')).preset).toBe('permissive');
  });

  it('is not permissive because of the override alone', () => {
    const named = parse(`policy.permissive_on_mainnet = "${MAINNET_OVERRIDE}"\n`);
    expect(policyFor(named, network('bitcoin')).preset).toBe('hub');
  });
});
