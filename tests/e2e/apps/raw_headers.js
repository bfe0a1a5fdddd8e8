// A Node server that writes down rawHeaders, one line of JSON per request: `raw_headers.js PORT LOG`.
"use strict";
const { appendFileSync } = require("node:fs");
const { createServer } = require("node:http");
const [port, log] = process.argv.slice(2);

createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const status = request.url.startsWith("/missing") ? 404 : 200;
    const fields = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      fields.push([request.rawHeaders[at], request.rawHeaders[at + 1]]);
    }
    const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
    appendFileSync(log, JSON.stringify({ line, status, fields }) + "\n");
    response.writeHead(status, ["X-Served-By", "node", "X-Twice", "1", "x-twice", "2"]);
    response.write("first ");
    response.end("second\n");
  });
}).listen(Number(port), "127.0.0.1");
