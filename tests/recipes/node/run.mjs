// Makes the requests of ../README.md with the recipe in the file beside it.

import assert from "node:assert/strict";

import { closeTicket } from "./recipe.js";

const failed = [];
let next = 1;

async function work() {
    while (next <= 40) {
        const ticket = next++;
        const workspace = ["globex", "acme"][ticket % 2];
        const context = { workspace, actor: `user:${workspace}`, ip: `192.0.2.${1 + (ticket % 2)}` };
        try {
            await closeTicket(context, ticket);
        } catch (error) {
            if (ticket !== 13) throw error;
            failed.push(ticket);
        }
    }
}

await Promise.all([work(), work(), work(), work()]);
assert.deepEqual(failed, [13]);
process.exit(0);
