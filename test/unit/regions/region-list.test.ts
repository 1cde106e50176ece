import { addressesOf, parseRegions, regionsOf } from '../../../src/regions/region-list.ts';

test('regions are named with their proxies', () => {
  expect(parseRegions(' eu=p1.eu,p2.eu   us=p1.us ')).toEqual([
    { name: 'eu', proxies: ['p1.eu', 'p2.eu'] },
    { name: 'us', proxies: ['p1.us'] },
  ]);
});

test('what is behind a proxy has the ports of deploy/haproxy', () => {
  const [eu] = parseRegions('eu=p1.eu,p2.eu us=p1.us');
  expect(eu && addressesOf(eu, 'temporal')).toEqual(['p1.eu:7233', 'p2.eu:7233']);
  expect(eu && addressesOf(eu, 'target')).toEqual(['p1.eu:5442', 'p2.eu:5442']);
});

test.each(['a=x', 'a=x a=y', 'a= b=y', 'a=, b=y', 'A=x b=y', 'nonsense', 'a=x b'])('"%s" is refused with an example', (text) => {
  expect(() => parseRegions(text)).toThrow(/two regions or more .* a=proxy1\.a,proxy2\.a b=proxy1\.b/);
});

test('without SLUICE_REGIONS there is one region only', () => {
  expect(regionsOf({})).toBeNull();
  expect(regionsOf({ SLUICE_REGIONS: '' })).toBeNull();
});
