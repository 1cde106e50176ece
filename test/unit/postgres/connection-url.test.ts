import { parseConnectionUrl } from '../../../src/connectors/postgres/connection-url.ts';

describe('a connection URL', () => {
  test.each([
    ['postgres://u:p@h/db', ['h:5432'], 'any', 'postgres://h:5432/db', ['postgres://u:p@h:5432/db']],
    ['postgresql://h:5433/db?sslmode=require', ['h:5433'], 'any', 'postgres://h:5433/db', ['postgresql://h:5433/db?sslmode=require']],
    [
      'postgres://u:p%40x@a,b:5433/db?target_session_attrs=primary&sslmode=require',
      ['a:5432', 'b:5433'],
      'primary',
      'postgres://a:5432,b:5433/db',
      ['postgres://u:p%40x@a:5432/db?sslmode=require', 'postgres://u:p%40x@b:5433/db?sslmode=require'],
    ],
    [
      'postgres://u@/db?host=a,b&port=6000&target_session_attrs=prefer-standby',
      ['a:6000', 'b:6000'],
      'prefer-standby',
      'postgres://a:6000,b:6000/db',
      ['postgres://u@a:6000/db', 'postgres://u@b:6000/db'],
    ],
    [
      'postgres://[::1]:5433,[::2]/db',
      ['[::1]:5433', '[::2]:5432'],
      'any',
      'postgres://[::1]:5433,[::2]:5432/db',
      ['postgres://[::1]:5433/db', 'postgres://[::2]:5432/db'],
    ],
    [
      'postgres:///db?host=::1,a',
      ['[::1]:5432', 'a:5432'],
      'any',
      'postgres://[::1]:5432,a:5432/db',
      ['postgres://[::1]:5432/db', 'postgres://a:5432/db'],
    ],
  ])('%s', (url, servers, attributes, label, urls) => {
    const parsed = parseConnectionUrl(url);
    expect(parsed.servers.map(({ host, port }) => `${host}:${port}`)).toEqual(servers);
    expect(parsed.attributes).toBe(attributes);
    expect(parsed.label).toBe(label);
    expect(parsed.servers.map((server) => parsed.urlFor(server))).toEqual(urls);
  });

  test.each([
    'mysql://h/db',
    'postgres://u:p#w@h/db',
    'postgres://h:port/db',
    'postgres://h:99999/db',
    'postgres://a,b/db?port=1,2,3',
    'h/db',
    '',
  ])('that cannot be read says how it is written, and nothing of itself: %s', (url) => {
    expect(() => parseConnectionUrl(url)).toThrow(/cannot be read. It is postgres:\/\/user:password@host:port\/database/);
  });

  test('says how long a server may take, as libpq does: in seconds', () => {
    const timeoutOf = (url: string) => parseConnectionUrl(url).connectTimeoutMs;
    expect(timeoutOf('postgres://h/db')).toBeNull();
    expect(timeoutOf('postgres://h/db?connect_timeout=7')).toBe(7_000);
    expect(timeoutOf('postgres://h/db?connect_timeout=0')).toBe(0);
    expect(() => timeoutOf('postgres://h/db?connect_timeout=soon')).toThrow(/"soon"; it is a number of seconds/);
    const [server] = parseConnectionUrl('postgres://h/db?connect_timeout=7').servers;
    expect(parseConnectionUrl('postgres://h/db?connect_timeout=7').urlFor(server as never)).toBe('postgres://h:5432/db');
  });

  test('may have its hosts tried in any order', () => {
    const firsts = Array.from({ length: 100 }, () => parseConnectionUrl('postgres://a,b,c/db?load_balance_hosts=random').servers[0]?.host);
    expect(new Set(firsts)).toEqual(new Set(['a', 'b', 'c']));
    expect(() => parseConnectionUrl('postgres://a,b/db?load_balance_hosts=yes')).toThrow(/"yes"; it can be disable or random/);
    expect(() => parseConnectionUrl('postgres://a/db?hostaddr=10.0.0.1')).toThrow(/hostaddr, which is not known here/);
  });

  test('with a wish that nobody knows', () => {
    expect(() => parseConnectionUrl('postgres://h/db?target_session_attrs=master')).toThrow(
      /"master"; it can be any, read-write, read-only, primary/,
    );
  });
});
