/** The commands and their options. What a command does is loaded when it is called. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { EXIT, type ExitStatus } from './exit-status.ts';
import { type CommonOptions, Session } from './session.ts';

/** Told with which status the command ended. */
export type OnEnd = (status: ExitStatus) => void;

// biome-ignore lint/suspicious/noConfusingVoidType: a command that says nothing has succeeded.
type Work<Options> = (session: Session, args: string[], options: Options) => Promise<ExitStatus | void>;

/** Builds the command line. */
export function createProgram(onEnd: OnEnd): Command {
  const program = withCommonOptions(new Command('sluice'))
    .description('Moves data between systems and does not lose it.')
    .showHelpAfterError('("sluice --help" shows what there is)')
    .exitOverride();

  const command = commandsOf(program, onEnd);

  command('init [NAME]', 'writes a minimal pipeline for your own database', async (session, [name]) => {
    return (await import('./commands/init.ts')).initCommand(session, name);
  });

  command<import('./commands/dev.ts').DevOptions>(
    'dev',
    'starts Temporal, PostgreSQL and workers on this machine',
    async (session, _, options) => {
      return (await import('./commands/dev.ts')).devCommand(session, options);
    },
  )
    .option('--run <PIPELINE>', 'run this pipeline, show the summary, and stop what was started')
    .addOption(paramOption())
    .option('--id <ID>', 'id of the run (default: pipeline and day)')
    .option('--keep', 'leave Temporal and the database up after --run')
    .option('--stop', 'stop what runs in this folder')
    .option('--workers <N>', 'how many worker processes', positive, 2);

  command('worker', 'runs one worker until it is told to stop', async (session) => {
    await (await import('./commands/worker.ts')).workerCommand(session);
  });

  command<import('./commands/run.ts').RunOptions>(
    'run <PIPELINE>',
    'starts a run and waits for it',
    async (session, [pipeline = ''], options) => {
      return (await import('./commands/run.ts')).runCommand(session, pipeline, options);
    },
  )
    .addOption(paramOption())
    .option('--id <ID>', 'id of the run (default: pipeline and day); a running id is attached to')
    .option('--detach', 'do not wait');

  command<import('./commands/list.ts').ListOptions>('list', 'lists the runs, most recent first', async (session, _, options) => {
    return (await import('./commands/list.ts')).listCommand(session, options);
  })
    .option('--pipeline <PIPELINE>', 'only of this pipeline')
    .option('--status <STATUS>', 'only of this status')
    .option('--limit <N>', 'at most so many', positive, 20);

  command('show <RUN>', 'shows where a run stands, what it waits for, and what to do', async (session, [run = '']) => {
    return (await import('./commands/show.ts')).showCommand(session, run);
  });

  for (const [how, summary] of [
    ['pause', 'lets the chunks in flight finish, and starts no more'],
    ['resume', 'lets a paused run go on'],
    ['cancel', 'stops a run and cleans up'],
  ] as const) {
    command(`${how} <RUN>`, summary, async (session, [run = '']) => {
      return (await import('./commands/steer.ts')).steerCommand(session, how, run);
    });
  }

  command<import('./commands/retry.ts').RetryOptions>(
    'retry <RUN>',
    'goes on with a run that failed',
    async (session, [run = ''], options) => {
      return (await import('./commands/retry.ts')).retryCommand(session, run, options);
    },
  )
    .addOption(new Option('--partition <PARTITION>', 'only this partition; may be given several times').default([]).argParser(collect))
    .option('--detach', 'do not wait');

  command<import('../client/sluice-client.ts').VerifyOptions>(
    'verify <RUN>',
    'compares what a run should have loaded with the target, and names the rows that differ',
    async (session, [run = ''], options) => {
      return (await import('./commands/verify.ts')).verifyCommand(session, run, options);
    },
  ).option('--read-again', 'read the source again also where the load has recorded what was staged');

  command('pipelines', 'lists the pipelines of this folder, and the modules that cannot be used', async (session) => {
    return (await import('./commands/pipelines.ts')).pipelinesCommand(session);
  });

  command<import('./commands/explain.ts').ExplainOptions>(
    'explain <PIPELINE>',
    'says what a run would do and where, without running it',
    async (session, [pipeline = ''], options) => {
      return (await import('./commands/explain.ts')).explainCommand(session, pipeline, options);
    },
  ).addOption(paramOption());

  command('doctor', 'says what is reachable, and how to get what is missing', async (session) => {
    return (await import('./commands/doctor.ts')).doctorCommand(session);
  });

  command<import('./commands/setup.ts').SetupOptions>(
    'setup',
    'prepares a Temporal service and a target: namespace, search attributes, ledger',
    async (session, _, options) => {
      return (await import('./commands/setup.ts')).setupCommand(session, options);
    },
  ).option('--retention <DAYS>', 'how long Temporal keeps the history of ended runs', positive, 7);

  addClusterCommands(program, onEnd);
  addRegionCommands(program, onEnd);

  command('clean', 'collects what ended runs left in the database', async (session) => {
    return (await import('./commands/clean.ts')).cleanCommand(session);
  });

  return program;
}

/** Makes commands below another one. */
function commandsOf(parent: Command, onEnd: OnEnd) {
  return <Options>(usage: string, summary: string, work: Work<Options>): Command => {
    const made = withCommonOptions(parent.command(usage)).summary(summary).description(summary);
    return made.action(async () => {
      const args = made.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string');
      const options = made.optsWithGlobals() as Options & CommonOptions;
      onEnd((await work(new Session(options), args, options)) ?? EXIT.done);
    });
  };
}

function addClusterCommands(program: Command, onEnd: OnEnd): void {
  const summary = 'a highly available cluster on this machine: start, break, watch';
  const cluster = program.command('cluster').summary(summary).description(summary);
  const command = commandsOf(cluster, onEnd);
  const load = () => import('./commands/cluster.ts');

  command<import('./commands/cluster.ts').ClusterUpOptions>(
    'up',
    'starts it, and waits until all of it is well',
    async (session, _, options) => (await load()).clusterUpCommand(session, options),
  )
    .option('--workers <N>', 'how many workers', positive, 2)
    .option('--regions <A,B>', 'two regions, of which the first is active')
    .option('--no-observability', 'without Prometheus and Alertmanager')
    .option('--install', 'installs what is missing, with apt-get and go install');
  command('status', 'says how each part is', async (session) => (await load()).clusterStatusCommand(session));
  command('down', 'stops it; data and history are kept', async (session) => (await load()).clusterDownCommand(session));
  command<{ follow?: boolean }>('logs <PART>', 'shows the end of the log of a part', async (session, [part = ''], options) =>
    (await load()).clusterLogsCommand(session, part, options),
  ).option('-f, --follow', 'goes on showing it');
  command<import('./commands/cluster.ts').ClusterKillOptions>(
    'kill <PART>',
    'kills a part, which is then started again',
    async (session, [part = ''], options) => (await load()).clusterKillCommand(session, part, options),
  )
    .addOption(new Option('--signal <SIGNAL>', 'another signal').choices(['SIGKILL', 'SIGTERM', 'SIGSTOP', 'SIGCONT']).default('SIGKILL'))
    .addOption(
      new Option('--only <WHAT>', 'of a PostgreSQL node: Patroni (main) or the server').choices(['all', 'main', 'postgres']).default('all'),
    )
    .option('--hold', 'leave it down until "sluice cluster start"');
  command('start <PART>', 'starts a part that was killed with --hold, or a region that was killed', async (session, [part = '']) =>
    (await load()).clusterStartCommand(session, part),
  );
  command(
    'exec <PART> <COMMAND...>',
    'runs a command as a part sees the cluster: patronictl, etcdctl',
    async (session, [part = '', ...args]) => (await load()).clusterExecCommand(session, part, args),
  )
    .allowUnknownOption()
    .helpOption(false);
  command('env', 'prints what a shell needs to use it', async (session) => (await load()).clusterEnvCommand(session));
}

function addRegionCommands(program: Command, onEnd: OnEnd): void {
  const summary = 'several regions: which one works, and moving the work';
  const region = program.command('region').summary(summary).description(summary);
  const command = commandsOf(region, onEnd);
  const load = () => import('./commands/region.ts');

  command('status', 'says which region is active, how far the other is behind, and what is in flight', async (session) =>
    (await load()).regionStatusCommand(session),
  );
  command('handover <TO>', 'moves the work to another region while both are alive; loses nothing', async (session, [to = '']) =>
    (await load()).regionHandoverCommand(session, to),
  );
  command<{ force?: boolean }>(
    'failover <TO>',
    'goes on in another region when the active one is lost',
    async (session, [to = ''], options) => (await load()).regionFailoverCommand(session, to, options),
  ).option('--force', 'gives up what the lost region has not replicated');
  command('rejoin <REGION>', 'makes a region that comes back the standby of the active one', async (session, [name = '']) =>
    (await load()).regionRejoinCommand(session, name),
  );
  const replication = command('replication', 'says whether commits wait for the other region', async (session, [how = '']) =>
    (await load()).regionReplicationCommand(session, how),
  );
  replication.addArgument(new Argument('<how>', 'what commits wait for').choices(['synchronous', 'asynchronous']));
}

/** Taken before and after the name of the command. */
function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON object as the last line of stdout')
    .option('--pipelines <DIR>', 'folder of the pipelines (default: SLUICE_PIPELINES, else "pipelines")')
    .option('--task-queue <NAME>', 'task queue of the workers (default: SLUICE_TASK_QUEUE, else "sluice")');
}

function paramOption(): Option {
  return new Option('--param <NAME=VALUE>', 'parameter of the run; may be given several times').default([]).argParser(collect);
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It is a whole number of at least 1.');
  return value;
}
