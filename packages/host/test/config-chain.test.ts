/** [chain]: every source with its keys, and what an operator reads when one does not fit. */
import { describe, expect, it } from 'vitest';
import { FILE, faultOf, parse } from './config-support.ts';

const chainOf = (text: string) => parse(`[chain]\n${text}`).chain;
const COOKIE = 'source = "bitcoind"\ncookie_file = "/srv/bitcoin/.cookie"\n';

describe('the source of blocks', () => {
  it('is none without a table', () => {
    expect(parse('').chain).toEqual({ source: 'none' });
    expect(chainOf('source = "none"')).toEqual({ source: 'none' });
  });

  it('is the node, from a height on', () => {
    expect(chainOf('source = "node"\nbirthday_height = 840_000')).toEqual({
      source: 'node',
      birthdayHeightBlocks: 840_000,
    });
  });

  it('is a bitcoind, by its cookie or by user and password file', () => {
    expect(chainOf(COOKIE)).toEqual({
      source: 'bitcoind',
      url: null,
      login: { kind: 'cookie', file: '/srv/bitcoin/.cookie' },
      birthdayHeightBlocks: null,
      pollSeconds: 10,
      publishes: true,
    });
    const all = `source = "bitcoind"
url = "http://10.0.0.2:8332"
user = "alice"
password_file = "bitcoind password"
birthday_height = 0
poll_seconds = 3600
publish = false
`;
    expect(chainOf(all)).toEqual({
      source: 'bitcoind',
      url: 'http://10.0.0.2:8332',
      login: { kind: 'password', user: 'alice', passwordFile: 'bitcoind password' },
      birthdayHeightBlocks: 0,
      pollSeconds: 3600,
      publishes: false,
    });
  });

  it('is an Esplora server', () => {
    expect(chainOf('source = "esplora"\nurl = "https://example.org/api"')).toEqual({
      source: 'esplora',
      url: 'https://example.org/api',
      birthdayHeightBlocks: null,
      pollSeconds: 30,
      publishes: true,
    });
  });
});

describe('an error of [chain] says where, what is wrong and what to write', () => {
  const sources = '"none", "node", "bitcoind", "esplora"';
  const login = 'source = "bitcoind" needs cookie_file (the path of its .cookie), or user and password_file';
  it.each([
    ['', `1: "chain.source" is missing, expected one of ${sources}`],
    ['url = "http://x"', `1: "chain.source" is missing, expected one of ${sources}`],
    [
      'source = "bitcoin"',
      `2: "chain.source" is "bitcoin", expected one of ${sources}; did you mean "bitcoind"?`,
    ],
    ['source = true', `2: "chain.source" is true, expected one of ${sources}`],
    [
      'source = "none"\nurl = "http://x"',
      '3: "chain.url" is for source = "bitcoind" or "esplora", not "none"',
    ],
    [
      'source = "node"\nbirthday_height = 1\npoll_seconds = 5',
      '4: "chain.poll_seconds" is for source = "bitcoind" or "esplora", not "node"',
    ],
    ['source = "node"', '2: "chain.birthday_height" is missing, expected a height with source = "node"'],
    [
      'source = "esplora"\nurl = "https://x"\ncookie_file = "c"',
      '4: "chain.cookie_file" is for source = "bitcoind", not "esplora"',
    ],
    [
      'source = "esplora"',
      `2: "chain.url" is missing, expected the address of the server's API: "https://…/api" with source = "esplora"`,
    ],
    ['source = "bitcoind"', `2: ${login}`],
    [
      'source = "bitcoind"\nuser = "alice"',
      '2: "chain.password_file" is missing, expected a file with the password in its first line with source = "bitcoind"',
    ],
    [
      'source = "bitcoind"\npassword_file = "p"',
      `2: "chain.user" is missing, expected rpcuser or the name in rpcauth of the Bitcoin node's configuration with source = "bitcoind"`,
    ],
    [
      `${COOKIE}user = "alice"`,
      '4: "chain.user" beside "chain.cookie_file": the cookie holds user and password; keep one of them',
    ],
    [
      'source = "bitcoind"\nuser = "a:b"',
      '3: "chain.user" is "a:b", expected a name without ":", which separates it from the password',
    ],
    [
      'source = "bitcoind"\npassword = "secret"',
      '3: unknown key "chain.password"; did you mean "password_file"?',
    ],
    ['source = "bitcoind"\ncookie = "c"', '3: unknown key "chain.cookie"; did you mean "cookie_file"?'],
    [`${COOKIE}birthday = 5`, '4: unknown key "chain.birthday"; did you mean "birthday_height"?'],
    [
      `${COOKIE}zmq = 5`,
      '4: unknown key "chain.zmq"; known keys of [chain]: source, url, cookie_file, user, password_file, birthday_height, poll_seconds, publish',
    ],
    [`${COOKIE}url = "bitcoind:8332"`, '4: "chain.url" is no address, expected "http://…" or "https://…"'],
    [`${COOKIE}url = "10.0.0.1"`, '4: "chain.url" is no address, expected "http://…" or "https://…"'],
    [
      `${COOKIE}url = "http://alice:secret@10.0.0.1"`,
      '4: "chain.url" has a user or password in it: put the user into user, the password into a file and its path into password_file',
    ],
    [
      `${COOKIE}url = "http://10.0.0.1/?wallet=x"`,
      '4: "chain.url" ends in a query or fragment, which has no use here',
    ],
    [
      `${COOKIE}url = 8332`,
      '4: "chain.url" is 8332, expected an address in quotes: "http://…" or "https://…"',
    ],
    [
      `${COOKIE}poll_seconds = 0`,
      '4: "chain.poll_seconds" is 0, expected a whole number from 1 to 3600 (seconds)',
    ],
    [
      `${COOKIE}birthday_height = 500_000_000`,
      '4: "chain.birthday_height" is 500000000, expected a whole number from 0 to 499999999 (a height of the chain)',
    ],
    [`${COOKIE}publish = "yes"`, '4: "chain.publish" is "yes", expected true or false, without quotes'],
  ])('%j', (text, message) => {
    expect(faultOf(`[chain]\n${text}`)).toBe(message);
  });

  it('also when the table or its keys stand elsewhere', () => {
    expect(faultOf('chain = "bitcoind"')).toBe(
      '1: "chain" is "bitcoind", expected a table: [chain] on a line of its own, its keys below',
    );
    expect(faultOf('cookie_file = "c"')).toBe(
      '1: unknown key "cookie_file"; "cookie_file" belongs below [chain]',
    );
  });

  it('without the secret of an address', () => {
    const text = `[chain]\n${COOKIE}url = "http://alice:secret@10.0.0.1"`;
    expect(faultOf(text)).not.toContain('secret@');
    expect(FILE).toBe('countersign.toml');
  });
});
