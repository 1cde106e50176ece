import { Dependencies } from '../../../src/activities/dependencies.ts';
import { sourceConfig } from '../../../src/connectors/configs.ts';
import { csv } from '../../../src/index.ts';

const dependencies = () =>
  new Dependencies({
    ...{ loaded: { pipelines: new Map(), problems: [] }, identity: 'worker', searchAttributes: false, concurrency: 20 },
    ...{ stopping: new AbortController().signal, env: {} },
  });
const day = (nth: number) => sourceConfig.parse(csv({ files: `days/${nth}/*.csv` }));

test('partitions of one source share it', () => {
  const worker = dependencies();
  expect(worker.source(day(1))).toBe(worker.source(day(1)));
  expect(worker.source(day(1))).not.toBe(worker.source(day(2)));
});

test('a worker that lives long does not keep the sources of all the parameters that it has seen', () => {
  const worker = dependencies();
  const [first, second] = [worker.source(day(0)), worker.source(day(-1))];
  for (let nth = 1; nth <= 1_000; nth += 1) {
    worker.source(day(nth));
    expect(worker.source(day(0))).toBe(first);
  }
  expect(worker.source(day(-1))).not.toBe(second);
});
