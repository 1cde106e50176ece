import { CommanderError } from 'commander';
import { PermanentError } from '../errors.ts';
import { EXIT, type ExitStatus, exitStatusOf } from './exit-status.ts';
import { Output } from './output.ts';
import { createProgram } from './program.ts';

/**
 * Runs one command and says with which status the process has to end.
 * @param args without `node` and the script
 */
export async function runCli(args: readonly string[], output = new Output(args.includes('--json'))): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.done;
  const program = createProgram((ended) => {
    status = ended;
  });
  for (const command of [program, ...program.commands]) {
    // With --json the one object says it, on stdout.
    command.exitOverride().configureOutput({ writeErr: (text) => (output.json ? undefined : output.note(text.trimEnd())) });
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end this way, too.
      if (error.exitCode === 0) return EXIT.done;
      const said = error.code === 'commander.help' ? 'no command was given' : error.message.replace(/^error: /, '');
      if (output.json) output.failure(new PermanentError('WrongUsage', said));
      return EXIT.usage;
    }
    output.failure(error);
    return exitStatusOf(error);
  }
}
