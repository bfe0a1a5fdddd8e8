// `raw_headers.js` behind TLS, by Node's own OpenSSL: `tls_raw_headers.js PORT LOG CERTIFICATE KEY`.
"use strict";
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const [, , , , certificate, key] = process.argv;

http.createServer = (handler) =>
  https.createServer({ keepAliveTimeout: 60000, cert: readFileSync(certificate), key: readFileSync(key) }, handler);
require("./raw_headers.js");
