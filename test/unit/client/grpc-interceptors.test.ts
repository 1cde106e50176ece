import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { interceptors, interceptorsWith } from '../../../src/client/grpc-interceptors.ts';

test('a connection that is closed between two tries of a call ends the call, not the process', async () => {
  // Given a server that hangs up, and a call that waits to be tried again
  let calls = 0;
  const server = createServer((socket) => {
    calls += 1;
    socket.destroy();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = Connection.lazy({ address: `127.0.0.1:${port}`, interceptors });
  const call = connection.withDeadline(Date.now() + 60_000, () => connection.workflowService.getSystemInfo({}));
  const ended = call.then(
    () => 'answered',
    (error: unknown) => (error as { details?: string }).details,
  );
  while (calls < 2) await delay(10);

  // When the connection is closed
  await connection.close();

  // Then it ends
  expect(await ended).toContain('Channel has been shut down');
  server.close();
});

test.each([
  ['a call', 300, 60_000, (connection: Connection) => connection.workflowService.getSystemInfo({})],
  ['a wait for news', 60_000, 300, (connection: Connection) => connection.workflowService.getWorkflowExecutionHistory({})],
])('%s ends where the server takes connections and says nothing', async (_what, callMs, pollMs, call) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = Connection.lazy({ address: `127.0.0.1:${port}`, interceptors: interceptorsWith(callMs, pollMs) });

  await expect(call(connection)).rejects.toMatchObject({ code: 14, details: 'no answer for 0.3 s' });
  expect(sockets.length).toBeGreaterThan(0);

  await connection.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});
