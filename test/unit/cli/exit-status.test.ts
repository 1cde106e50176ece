import { PassThrough } from 'node:stream';
import { exitStatusOf, Interrupted } from '../../../src/cli/exit-status.ts';
import { Output } from '../../../src/cli/output.ts';
import { runCli } from '../../../src/cli/run-cli.ts';
import { RunFailedError } from '../../../src/client/run-failed-error.ts';
import { PermanentError, TransientError } from '../../../src/errors.ts';

it.each([
  [new RunFailedError('a', 'failed', 'MissingTable', 'no table'), 1],
  [new RunFailedError('a', 'cancelled', 'Cancelled', 'cancelled'), 1],
  [new PermanentError('UnknownPipeline', 'which?'), 2],
  [new TransientError('TemporalUnreachable', 'nobody there'), 2],
  [new Interrupted('enough'), 130],
  [new TypeError('a bug'), 1],
])('%s ends with %d', (error, status) => {
  expect(exitStatusOf(error)).toBe(status);
});

function captured(json: boolean) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  return { output: new Output(json, stdout, stderr), stdout: () => String(stdout.read() ?? ''), stderr: () => String(stderr.read() ?? '') };
}

describe('with --json', () => {
  it('the answer is the only line of stdout', () => {
    const { output, stdout, stderr } = captured(true);
    output.say('progress');
    output.note('remark');
    output.result({ rows: 3 }, 'three rows');
    expect(stdout()).toBe('{"rows":3}\n');
    expect(stderr()).toBe('progress\nremark\n');
  });

  it('so is an error', () => {
    const { output, stdout } = captured(true);
    output.failure(new PermanentError('MissingTable', 'there is no table "a"'));
    expect(JSON.parse(stdout())).toEqual({ error: { code: 'MissingTable', message: 'there is no table "a"' } });
  });

  it.each([
    [['frobnicate', '--json'], /unknown command 'frobnicate'/],
    [['run', '--json'], /missing required argument 'PIPELINE'/],
    [['dev', '--workers', 'none', '--json'], /whole number of at least 1/],
    [['list', '--status', 'odd', '--json'], /there is no status "odd"/],
    [['--json'], /no command was given/],
  ])('so is wrong usage: %s', async (args, message) => {
    const { output, stdout } = captured(true);
    const write = jest.spyOn(process.stdout, 'write').mockImplementation(() => true);
    const status = await runCli(args, output);
    const said = stdout() || write.mock.calls.map(([text]) => String(text)).join('');
    write.mockRestore();
    expect(status).toBe(2);
    expect(JSON.parse(said)).toEqual({ error: { code: 'WrongUsage', message: expect.stringMatching(message) } });
  });
});

it('speaks to people without --json', () => {
  const { output, stdout, stderr } = captured(false);
  output.result({ rows: 3 }, 'three rows');
  output.failure(new PermanentError('MissingTable', 'there is no table "a"'));
  expect(stdout()).toBe('three rows\n');
  expect(stderr()).toBe('sluice: there is no table "a"\n');
});
