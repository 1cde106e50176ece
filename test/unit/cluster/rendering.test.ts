import { render } from '../../../src/cluster/rendering.ts';

const rendering = {
  own: '127.70.1.13',
  addresses: new Map([
    ['pg1', '127.70.1.13'],
    ['etcd1', '127.70.1.10'],
    ['haproxy1', '127.70.1.15'],
  ]),
  paths: new Map([
    ['/var/lib/postgresql', '/state/volumes/pg1'],
    ['/etc/patroni/patroni.yml', '/state/rendered/pg1/patroni.yml'],
    ['/etc/patroni/post-bootstrap.sh', '/state/rendered/pg1/post-bootstrap.sh'],
  ]),
};

test.each([
  // Without one that is not there.
  [['worker1'], '["127.70.1.21:9464"]'],
  [['worker1', 'worker2', 'worker3'], '["127.70.1.21:9464", "127.70.1.22:9464", "127.70.1.23:9464"]'],
])('a list of all workers is one of %j', (workers, targets) => {
  const addresses = new Map(workers.map((name) => [name, `127.70.1.2${name.slice(-1)}`]));
  expect(render('targets: ["worker1:9464", "worker2:9464"]', { ...rendering, addresses })).toBe(`targets: ${targets}`);
});

test.each([
  ['listen: 0.0.0.0:8008', 'listen: 127.70.1.13:8008'],
  ['hosts: [etcd1:2379, etcd2:2379]', 'hosts: [127.70.1.10:2379, etcd2:2379]'],
  ['etcd1=http://etcd1:2380', 'etcd1=http://127.70.1.10:2380'],
  ['postgres://sluice:secret@haproxy1:5432,haproxy1:5433/sluice', 'postgres://sluice:secret@127.70.1.15:5432,127.70.1.15:5433/sluice'],
  ['server pg1 pg1:5432 check port 8008', 'server pg1 127.70.1.13:5432 check port 8008'],
  // Names that only look like those of parts.
  ['my-pg1:5432 a.pg1:5432 pg1x:5432 pg1', 'my-pg1:5432 a.pg1:5432 pg1x:5432 pg1'],
  ['data_dir: /var/lib/postgresql/data', 'data_dir: /state/volumes/pg1/data'],
  ['pgpass: /var/lib/postgresql', 'pgpass: /state/volumes/pg1'],
  ['/var/lib/postgresql-old /x/var/lib/postgresql', '/var/lib/postgresql-old /x/var/lib/postgresql'],
  ['patroni /etc/patroni/patroni.yml', 'patroni /state/rendered/pg1/patroni.yml'],
  ['post_bootstrap: /etc/patroni/post-bootstrap.sh', 'post_bootstrap: /state/rendered/pg1/post-bootstrap.sh'],
])('%s', (text, rendered) => {
  expect(render(text, rendering)).toBe(rendered);
});

test.each([
  ['PEER_1: b-haproxy1', 'PEER_1: 127.80.2.15'],
  ['a=a-haproxy1,a-haproxy2 b=b-haproxy1', 'a=127.70.1.15,a-haproxy2 b=127.80.2.15'],
  ['postgres://x@haproxy1:5442,b-haproxy1:5442/s', 'postgres://x@127.70.1.15:5442,127.80.2.15:5442/s'],
  ['xb-haproxy1 b-haproxy11 b-haproxy1-x', 'xb-haproxy1 b-haproxy11 b-haproxy1-x'],
  ['host: haproxy1', 'host: 127.70.1.15'],
])('of several regions: %s', (text, rendered) => {
  const regional = new Map([
    ['a-haproxy1', '127.70.1.15'],
    ['b-haproxy1', '127.80.2.15'],
  ]);
  expect(render(text, { ...rendering, regional })).toBe(rendered);
});

test('a part without files of its own', () => {
  expect(render('/etc/x 0.0.0.0', { own: '127.0.0.9', addresses: new Map(), paths: new Map() })).toBe('/etc/x 127.0.0.9');
});
