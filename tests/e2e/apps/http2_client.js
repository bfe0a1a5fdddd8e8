// An http2 client over TLS: for each line on stdin, a path, one connection with one call; what came back is written as one
// line of JSON: http2_client.js PORT.
const http2 = require("http2");
const readline = require("readline");

const pairs = (raw) => raw.reduce((all, text, at) => (at % 2 ? [...all, [raw[at - 1], text]] : all), []);
readline.createInterface({ input: process.stdin }).on("line", (path) => {
  const session = http2.connect(`https://127.0.0.1:${process.argv[2]}`, { rejectUnauthorized: false });
  const told = { port: 0, response: [], trailers: [], size: 0 };
  session.on("connect", () => (told.port = session.socket.localPort));
  const call = session.request({
    ":method": "POST",
    ":path": path,
    "x-tenant": "acme",
    "x-dup": ["one", "two"],
    "x-empty": "",
    authorization: "Bearer tiger-2f8c1e",
  });
  call.on("response", (headers, flags, raw) => (told.response = pairs(raw)));
  call.on("trailers", (headers, flags, raw) => (told.trailers = pairs(raw)));
  call.on("data", (data) => (told.size += data.length));
  call.on("end", () => {
    session.close();
    console.log(JSON.stringify(told));
  });
  call.end("content");
});
