// Worker threads, zlib on the thread pool, buffers, a child process, timers.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
const zlib = require('zlib');
const { promisify } = require('util');
const crypto = require('crypto');

if (!isMainThread) {
  const map = new Map();
  for (let i = 0; i < 50000; i++) map.set(`key ${i % 5003}`, { i, text: 'x'.repeat(i % 40) });
  parentPort.postMessage({ number: workerData, size: map.size });
} else {
  const worker = (number) => new Promise((resolve, reject) => {
    const thread = new Worker(__filename, { workerData: number });
    thread.on('message', resolve).on('error', reject);
  });
  (async () => {
    console.log(await Promise.all([1, 2, 3].map(worker)));
    const deflate = promisify(zlib.deflate);
    const inflate = promisify(zlib.inflate);
    const buffers = await Promise.all([...Array(12).keys()].map((i) => deflate(Buffer.alloc(200000, `text ${i} `))));
    const back = await Promise.all(buffers.map((buffer) => inflate(buffer)));
    console.log(back.reduce((sum, buffer) => sum + buffer.length, 0));
    console.log(crypto.createHash('sha256').update(Buffer.concat(back)).digest('hex'));
    console.log(execFileSync('sh', ['-c', 'echo from a child']).toString().trim());
    const objects = [];
    for (let i = 0; i < 300000; i++) objects.push({ i, list: [i, i + 1] });
    console.log(JSON.parse(JSON.stringify(objects)).length);
    console.error('to standard error');
    setTimeout(() => process.exit(5 - 5), 10);
  })();
}
