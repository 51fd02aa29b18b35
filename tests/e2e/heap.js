// SPDX-License-Identifier: GPL-2.0-or-later
// heap.js ROUNDS: maps, arrays, strings, typed arrays and a worker thread's own heap, built, changed, collected and read
// again; prints digests, the same on every machine and with every version of node.
'use strict';
const { createHash } = require('crypto');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

// A generator of our own: Math.random() cannot be seeded.
function chance(seed) {
        let x = seed >>> 0;
        return (n) => {
                x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
                return Math.floor((x / 4294967296) * n);
        };
}

// Some 100 MB of objects on the heap, and 50 MB of buffers beside it.
function build(seed) {
        const next = chance(seed);
        const map = new Map();
        for (let n = 0; n < 60000; n++)
                map.set('key' + n, { n, text: 'value ' + next(1e9) + '-'.repeat(next(200)), list: [n, next(1e9), n * 0.5] });
        const strings = [];
        for (let n = 0; n < 40000; n++)
                strings.push(Buffer.alloc(300 + next(300), 'line ' + next(1e9) + ' ').toString('latin1'));
        const buffers = [];
        for (let n = 0; n < 400; n++) {
                const b = Buffer.alloc(128 << 10);
                for (let at = 0; at < b.length; at += 512)
                        b.writeUInt32LE(next(4294967295), at);
                buffers.push(b);
        }
        const floats = new Float64Array(1 << 20);
        for (let n = 0; n < floats.length; n++)
                floats[n] = next(1e6) / 7;
        return { map, strings, buffers, floats, next };
}

function change(h) {
        for (let n = 0; n < 15000; n++) {
                const key = 'key' + h.next(60000);
                const o = h.map.get(key);
                if (o && n % 3)
                        o.text = o.text.split('').reverse().join('');
                else
                        h.map.delete(key);
        }
        for (let n = 0; n < 10000; n++)
                h.strings[h.next(h.strings.length)] = 'new ' + h.next(1e9) + '.'.repeat(h.next(400));
        for (let n = 0; n < 40; n++)
                h.buffers[h.next(400)] = Buffer.concat([h.buffers[h.next(400)], Buffer.from('end')]);
        h.floats.subarray(h.next(1000), 100000).sort();
        h.floats.copyWithin(500000, h.next(1000), 200000);
}

function digest(h) {
        const hash = createHash('sha256');
        for (const [key, o] of h.map)
                hash.update(key + o.n + o.text + o.list.join());
        for (const s of h.strings)
                hash.update(s);
        for (const b of h.buffers)
                hash.update(b);
        hash.update(new Uint8Array(h.floats.buffer));
        return hash.digest('hex');
}

function work(seed, rounds) {
        const h = build(seed);
        const digests = [digest(h)];
        for (let n = 0; n < rounds; n++) {
                change(h);
                if (global.gc)
                        global.gc(); // moves what lives
                digests.push(digest(h));
        }
        return digests;
}

if (isMainThread) {
        const rounds = Number(process.argv[2]);
        const worker = new Worker(__filename, { workerData: { seed: 2, rounds } });
        worker.on('message', (digests) => console.log('worker', digests.join('\n')));
        worker.on('error', (error) => {
                console.log('worker failed', error);
                process.exit(1);
        });
        console.log('main', work(1, rounds).join('\n'));
} else {
        parentPort.postMessage(work(workerData.seed, workerData.rounds));
}
