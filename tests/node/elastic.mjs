// What people do with the official client of Elasticsearch for Node.
//
//   node elastic.mjs URL KEY INDEX
//
// Writes into INDEX, reads it back, and prints what it found as JSON.

import { Client } from "@elastic/elasticsearch";

const [url, key, index] = process.argv.slice(2);
const client = new Client({ node: url, auth: { apiKey: key }, compression: true });
const day = `${index}-2026.01.27`;
const documents = Array.from({ length: 120 }, (_, n) => ({ id: `id-${n}`, n, message: "m" }));

const written = await client.helpers.bulk({
    datasource: documents,
    onDocument: ({ id }) => ({ create: { _index: day, _id: id } }),
    refreshOnCompletion: true,
});
const scrolled = [];
for await (const document of client.helpers.scrollDocuments({ index: day, size: 50, query: { range: { n: { gte: 20 } } } })) {
    scrolled.push(document.n);
}
const { hits } = await client.search({ index: day, size: 1, sort: [{ n: "desc" }] });
const missing = await client.get({ index: day, id: "none" }).catch((error) => error.meta.statusCode);
const caps = await client.fieldCaps({ index: day, fields: "n" });
console.log(
    JSON.stringify({
        version: (await client.info()).version.number,
        written: written.successful,
        scrolled: [scrolled.length, new Set(scrolled).size],
        top: hits.hits[0]._source.n,
        found: (await client.get({ index: day, id: "id-7" })).found,
        missing,
        caps: Object.keys(caps.fields.n),
        table: (await client.cat.indices({ index: day, format: "json" }))[0]["docs.count"],
    }),
);
