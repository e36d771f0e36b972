import { readFile } from "node:fs/promises";
import express from "express";
import { createScorer } from "tollgate";
import { tollgate } from "tollgate/express";

const [bundle, trust] = await Promise.all([readFile("signup.tollgate"), readFile("signup.pub", "utf8")]);
const scorer = await createScorer({ bundle, trust });
const app = express().use(express.json());
app.post("/signup", tollgate({ scorer, features: (request) => request.body?.features }), (_, response) => response.json({ welcome: true }));
const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/signup`));
