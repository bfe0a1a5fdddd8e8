// An http2 server that writes down the fields it got, one line of JSON per request: http2.js PORT LOG; in clear text, or
// over TLS with CERTIFICATE and KEY behind.
const fs = require("fs");
const http2 = require("http2");

const [port, log, cert, key] = process.argv.slice(2);
const files = cert && { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
const server = files ? http2.createSecureServer(files) : http2.createServer();
server.on("stream", (stream, headers, flags, raw) => {
  const fields = [];
  for (let at = 0; at < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  let trailers = [];
  stream.on("trailers", (found, flags, raw) => {
    for (let at = 0; at < raw.length; at += 2) trailers.push([raw[at], raw[at + 1]]);
  });
  stream.resume();
  stream.on("end", () => {
    const status = headers[":path"].startsWith("/missing") ? 404 : 200;
    fs.appendFileSync(log, JSON.stringify({ stream: stream.id, fields, trailers, status }) + "\n");
    const more = { ":status": status, "x-served-by": "node", "x-dup": ["one", "two"] };
    if (headers[":method"] === "HEAD") return stream.respond(more, { endStream: true });
    stream.respond(more, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-checksum": "17" }));
    stream.end("ok\n".repeat(100));
  });
});
server.listen(Number(port), "127.0.0.1");
