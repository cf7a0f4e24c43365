// One way, in Node: `ways.js WAY STATIC`, where STATIC is the static program of ways.c. Prints what Node saw of it.
'use strict';
const { exec, execFile, spawn, spawnSync } = require('child_process');
const dgram = require('dgram');
const net = require('net');

const [, , way, program] = process.argv;
const host = '192.88.1.10';
const say = (text) => { console.log(String(text).trim()); process.exit(0); };
const ways = {
    'net.connect': () => net.connect(4446, host).on('error', (error) => say(error.code)).on('connect', () => say('done')),
    'dgram.send': () => dgram.createSocket('udp4').send('x', 4446, host, (error) => say(error ? error.code : 'done')),
    'server.listen': () => net.createServer().on('error', (error) => say(error.code)).listen(4470, () => say('done')),
    'exec': () => exec('echo 3', (error, output) => say(error ? error.code : output)),
    'spawn of a shell': () => say(JSON.stringify(spawnSync('/bin/sh', ['-c', 'echo 3']).error?.code ?? 'done')),
    'spawn on a connection': () => {
        const socket = net.connect(8080, host, () => {
            try {
                spawn('/bin/true', [], { stdio: [socket, 'ignore', 'ignore'] })
                    .on('error', (error) => say(error.code)).on('exit', (code) => say(code));
            } catch (error) { say(error.code); }
        });
    },
    'LD_PRELOAD for a child': () =>
        say(JSON.stringify(spawnSync('/bin/true', [], { env: { LD_PRELOAD: '/nowhere.so' } }).error?.code ?? 'done')),
    'a static program': () => execFile(program, ['libc', 'connect'], (error, output) => say(error ? error.code : output)),
};
ways[way]();
