// PouchDB behind CouchDB's HTTP interface, in memory, for one user: node couchdb_server.js PORT USER PASSWORD
const express = require("express");
const expressPouchDB = require("express-pouchdb");
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).defaults({ adapter: "memory" });

const [port, user, password] = process.argv.slice(2);
const known = "Basic " + Buffer.from(`${user}:${password}`).toString("base64");
const stranger = { error: "unauthorized", reason: "Name or password is incorrect." };

const app = express();
app.use((request, response, next) =>
  request.headers.authorization === known ? next() : response.status(401).json(stranger));
app.use(expressPouchDB(PouchDB, { mode: "minimumForPouchDB", inMemoryConfig: true }));
app.listen(Number(port), "127.0.0.1");
