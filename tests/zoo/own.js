const { spawnSync, execSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const net = require('net');
const witness = process.argv[2];
const see = () => {
  const done = spawnSync('sh', [witness, 'a b', '']);
  return `${done.stdout}${done.stderr}${done.status}`;
};
if (isMainThread) {
  for (const name of Object.keys(process.env).sort()) console.log(`${name}=${process.env[name]}`);
  console.log(see(), execSync('echo exec').toString());
  const server = net.createServer(socket => socket.end('hello'));
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1');
    client.on('data', data => console.log(data.toString()));
    client.on('close', () => {
      server.close();
      new Worker(__filename, { argv: [witness] }).on('message', said => console.log(said));
    });
  });
} else {
  parentPort.postMessage(see());
}
