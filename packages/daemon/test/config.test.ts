/** `signer.toml`: what it may say, and what an operator reads when something cannot be meant. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '@countersign/host';
import { describe, expect, it } from 'vitest';
import { parseAddress, parseSignerConfig, readNodePolicy, readSignerConfig } from '../src/config/config.ts';
import { permissionArguments } from '../src/process/permissions.ts';
import { temporaryDirectory } from './support.ts';

const FILE = '/etc/countersign/signer.toml';
const parse = (text: string) => parseSignerConfig(text, FILE);
const NODE = '[node.alice]\nnetwork = "regtest"\n';

function faultOf(text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replace(`${FILE}:`, '');
  }
  throw new Error(`no fault in ${text}`);
}

describe('signer.toml', () => {
  it('needs a node and its network', () => {
    expect(parse(NODE)).toEqual({
      file: FILE,
      logLevel: 'info',
      workers: 0,
      health: null,
      nodes: [
        {
          name: 'alice',
          keyStyle: 'cln',
          network: 'regtest',
          directory: '/etc/countersign/alice',
          stateDirectory: '/etc/countersign/alice/state',
          seedFile: '/etc/countersign/alice/seed',
          policyFile: null,
          passphrase: { kind: 'terminal' },
          link: { transport: 'link', dial: null },
        },
      ],
    });
  });

  it('may set everything, for several nodes', () => {
    const config = parse(`log_level = "debug"
workers = 2
[health]
listen = "[::1]:9739"
[node.alice]
network = "bitcoin"
directory = "/var/lib/a"
seed_file = "/etc/a.seed"
policy_file = "a.toml"
passphrase_credential = "alice"
[node.alice.link]
dial = "node.example:9737"
[node.b-2]
network = "signet"
passphrase_file = "b.pass"
link = { dial = "unix:/run/node/link.sock" }
[node.c]
network = "testnet4"
passphrase_fd = 3
link = { transport = "vls-grpc", url = "http://10.0.0.2:2701" }
`);
    expect(config).toMatchObject({
      logLevel: 'debug',
      workers: 2,
      health: { kind: 'tcp', host: '::1', port: 9739 },
    });
    expect(config.nodes).toMatchObject([
      {
        stateDirectory: '/var/lib/a/state',
        seedFile: '/etc/a.seed',
        policyFile: '/etc/countersign/a.toml',
        passphrase: { kind: 'credential', name: 'alice' },
        link: { transport: 'link', dial: { kind: 'tcp', host: 'node.example', port: 9737 } },
      },
      {
        name: 'b-2',
        passphrase: { kind: 'file', path: '/etc/countersign/b.pass' },
        link: { dial: { kind: 'unix', path: '/run/node/link.sock' } },
      },
      { passphrase: { kind: 'descriptor', descriptor: 3 }, link: { transport: 'vls-grpc' } },
    ]);
  });

  const networks = 'one of "bitcoin", "testnet", "testnet4", "signet", "regtest"';
  it.each([
    ['', '1: no node: write [node.NAME] and its keys below'],
    ['[node]', '1: no node: write [node.NAME] and its keys below'],
    ['[node.alice]', `1: "node.alice.network" is missing, expected ${networks}`],
    [
      '[node.alice]\nnetwork = "regtset"',
      `2: "node.alice.network" is "regtset", expected ${networks}; did you mean "regtest"?`,
    ],
    [`${NODE}sed_file = "x"`, '3: unknown key "node.alice.sed_file"; did you mean "seed_file"?'],
    [
      `${NODE}preset = "hub"`,
      /^3: unknown key "node\.alice\.preset"; known keys of \[node\.alice\]: network, /,
    ],
    [`${NODE}listen = "x"`, '3: unknown key "node.alice.listen"; "listen" belongs below [health]'],
    [`${NODE}workers = 2`, '3: unknown key "node.alice.workers"; "workers" belongs above the first [table]'],
    ['workers = 65\n', '1: "workers" is 65, expected a whole number from 0 to 64 (threads)'],
    ['node = 5', '1: "node" is 5, expected tables: [node.NAME]'],
    [
      'node = { alice = 5 }',
      '1: "node.alice" is 5, expected a table: [node.NAME] on a line of its own, its keys below',
    ],
    ['[node.Alice]\nnetwork = "regtest"', /^1: "Alice" is no name of a node, expected up to 32 of a-z/],
    [
      `${NODE}passphrase_fd = 3\npassphrase_file = "x"`,
      '3: "passphrase_fd" beside "passphrase_file": keep one of them',
    ],
    [
      `${NODE}passphrase_fd = 1`,
      '3: "node.alice.passphrase_fd" is 1, expected a whole number from 3 to 1023 (a descriptor)',
    ],
    [`${NODE}[health]\nlisten = "0.0.0.0:1"`, /^4: "0\.0\.0\.0" is no address of this machine alone/],
    [
      `${NODE}[health]\nlisten = "9739"`,
      '4: "9739" is no address, expected "host:port" or "unix:/path/of/a/socket"',
    ],
    [`${NODE}[node.alice.link]\ndial = "x"`, /^4: "x" is no address/],
    [`${NODE}[node.alice.link]\nurl = "http://x"`, '4: "url" is for transport = "vls-grpc"'],
    [
      `${NODE}[node.alice.link]\ntransport = "vls-grpc"`,
      '4: transport = "vls-grpc" needs url, the address of the node\'s proxy: "http://host:port"',
    ],
    [
      `${NODE}[node.alice.link]\ntransport = "vls-grpc"\nurl = "ftp://x"`,
      /^5: transport = "vls-grpc" needs url/,
    ],
    ...['http://u:p@x:1', 'http://u@x:1', 'http://x:1/rpc', 'http://x:1?a', 'http://x:1#a', 'http://x:0'].map(
      (url): [string, RegExp] => [
        `${NODE}[node.alice.link]\ntransport = "vls-grpc"\nurl = "${url}"`,
        /^5: "node\.alice\.link\.url" takes a host and a port and nothing else: "http:\/\/host:port"$/,
      ],
    ),
    [
      `${NODE}[node.alice.link]\npin = "${'ab'.repeat(32)}"`,
      '4: "pin" is for transport = "vls-grpc"; pairing brings it',
    ],
    [
      `${NODE}[node.alice.link]\ntransport = "vls-grpc"\nurl = "https://x:1"`,
      '5: https needs pin, the SHA-256 of the key of the proxy',
    ],
    [
      `${NODE}[node.alice.link]\ntransport = "vls-grpc"\nurl = "http://x:1"\npin = "${'ab'.repeat(32)}"`,
      '6: "pin" is for an https url',
    ],
    [
      `${NODE}[node.alice.link]\npin = "AB"`,
      '4: "node.alice.link.pin" is "AB", expected the pin of a key: 64 digits of hex, in lower case',
    ],
    [
      `${NODE}[node.alice.link]\ntransport = "vls-grpc"\ndial = "x:1"`,
      '5: "dial" is for transport = "link"; write url',
    ],
    [
      `${NODE}directory = "x"\n[node.bob]\nnetwork = "regtest"\ndirectory = "./x"`,
      '6: node alice has the same directory: /etc/countersign/x',
    ],
    [
      `${NODE}seed_file = "x"\n[node.bob]\nnetwork = "regtest"\nseed_file = "x"`,
      '6: node alice has the same seed_file: /etc/countersign/x',
    ],
    ['[node.alice\n', /^1: not valid TOML/],
  ])('%j: %s', (text, fault) => {
    if (typeof fault === 'string') expect(faultOf(text)).toBe(fault);
    else expect(faultOf(text)).toMatch(fault);
  });

  it('takes as many nodes as it says, and no more', () => {
    const nodes = (count: number): string =>
      Array.from({ length: count }, (_, i) => `[node.n${i}]\nnetwork = "regtest"\n`).join('');
    expect(parse(nodes(64)).nodes).toHaveLength(64);
    expect(faultOf(nodes(65))).toMatch(/more than 64 nodes/);
  });

  it('that is not there is told by its path', () => {
    expect(() => readSignerConfig('/nowhere/signer.toml')).toThrow(
      /cannot read \/nowhere\/signer\.toml: ENOENT/,
    );
  });
});

describe('an address', () => {
  it.each([
    ['127.0.0.1:1', { kind: 'tcp', host: '127.0.0.1', port: 1 }],
    ['[::1]:65535', { kind: 'tcp', host: '::1', port: 65_535 }],
    ['unix:a b', { kind: 'unix', path: 'a b' }],
    ['unix:', null],
    ['host:0', null],
    ['host:65536', null],
    ['::1:5', null],
    [':5', null],
    ['a b:5', null],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });
});

function nodeWith(policy: string | null) {
  const directory = temporaryDirectory();
  if (policy !== null) writeFileSync(join(directory, 'policy.toml'), policy);
  const [node] = parse(`${NODE}directory = "node"`).nodes;
  return { ...node!, policyFile: policy === null ? null : join(directory, 'policy.toml') };
}

describe('the policy of a node', () => {
  it('is that of its file, on the state of signer.toml', () => {
    const policy = readNodePolicy(nodeWith('[policy]\npreset = "hub"\n'));
    expect(policy).toMatchObject({ preset: 'hub', stateDirectory: '/etc/countersign/node/state' });
    const chain = '[chain]\nsource = "bitcoind"\ncookie_file = "x/.cookie"\n';
    const node = nodeWith(`witness_file = "w"\n${chain}`);
    const home = dirname(node.policyFile ?? '');
    expect(readNodePolicy(node)).toMatchObject({
      witnessFile: join(home, 'w'),
      chain: { login: { file: join(home, 'x/.cookie') } },
    });
    expect(readNodePolicy(nodeWith(null))).toMatchObject({
      preset: undefined,
      stateDirectory: '/etc/countersign/node/state',
    });
  });

  it.each(['mode = "inplace"', 'cln_version = "v1"', 'state_directory = "x"'])('has no %s', (line) => {
    expect(() => readNodePolicy(nodeWith(`\n${line}\n`))).toThrow(
      /policy\.toml:2: ".*" has no place in a signer's policy file: see signer\.toml/,
    );
  });
});

describe('what the process may touch', () => {
  it('are the files of signer.toml, by exact path, and the program to read', () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'signer.toml');
    writeFileSync(
      join(directory, 'a.toml'),
      '[chain]\nsource = "bitcoind"\ncookie_file = "bitcoin/.cookie"\n',
    );
    writeFileSync(
      join(directory, 'b.toml'),
      '[chain]\nsource = "bitcoind"\nuser = "u"\npassword_file = "/p"\n',
    );
    writeFileSync(
      file,
      `[health]
listen = "unix:health.sock"
[node.alice]
network = "regtest"
policy_file = "a.toml"
passphrase_credential = "alice"
link = { dial = "unix:/run/link.sock" }
[node.bob]
network = "regtest"
directory = "/var/lib/bob"
seed_file = "/etc/bob.seed"
policy_file = "b.toml"
passphrase_file = "bob.pass"
`,
    );
    const place = { program: '/opt/countersign', credentialsDirectory: '/run/credentials/x' };
    const given = permissionArguments(readSignerConfig(file), place);
    const of = (option: string): string[] =>
      given.filter((one) => one.startsWith(`--${option}=`)).map((one) => one.slice(option.length + 3));
    const written = [`${directory}/alice`, '/var/lib/bob', `${directory}/health.sock`];
    expect(given.filter((one) => !one.startsWith('--allow-fs-'))).toEqual([
      '--permission',
      '--allow-addons',
      '--allow-worker',
    ]);
    expect(of('allow-fs-write')).toEqual(written);
    expect(of('allow-fs-read')).toEqual([
      '/opt/countersign',
      '/etc/alpine-release',
      file,
      `${directory}/a.toml`,
      '/run/credentials/x/alice',
      `${directory}/bitcoin/.cookie`,
      '/run/link.sock',
      '/etc/bob.seed',
      `${directory}/b.toml`,
      `${directory}/bob.pass`,
      '/p',
      ...written,
    ]);
  });
});
