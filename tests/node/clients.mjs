// Does one task with an official Node client and prints what the client made of it, as JSON.
//
//   node clients.mjs '{"client": "openai", "url": …, "key": …, "do": "chat", "model": …, "text": …}'
//
// `do` is chat, stream, tools, schema, embed, problem or leave; tests/integration/clients.py says what each is for.

import { Ollama } from "ollama";
import OpenAI from "openai";

const task = JSON.parse(process.argv[2]);
const asked = [{ role: "user", content: task.text ?? "go on" }];
const tools = [{ type: "function", function: task.tool }];

// Seconds of the system's monotonic clock.
const now = () => Number(process.hrtime.bigint()) / 1e9;

function same(left, right) {
    if (JSON.stringify(left) !== JSON.stringify(right)) {
        throw new Error(`streamed ${JSON.stringify(right)}, whole ${JSON.stringify(left)}`);
    }
}

const clients = {
    openai() {
        const client = new OpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key, maxRetries: 0 });
        const request = { model: task.model, messages: asked, temperature: 0 };
        const said = ({ choices: [choice], usage }) => ({
            text: choice.message.content ?? "",
            finish: choice.finish_reason,
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
            tools: (choice.message.tool_calls ?? []).map((call) => [
                call.function.name,
                JSON.parse(call.function.arguments),
            ]),
        });
        const create = (more) => client.chat.completions.create({ ...request, ...more });
        // By the client's own collector of chunks.
        const stream = async (more) => {
            const running = client.chat.completions.stream({
                ...request,
                stream_options: { include_usage: true },
                ...more,
            });
            return said(await running.finalChatCompletion());
        };
        return {
            chat: async () => said(await create()),
            stream: () => stream(),
            async tools() {
                const answer = await create({ tools });
                const first = said(answer);
                same(first.tools, (await stream({ tools })).tools);
                if (task.result === null) return first;
                const { message } = answer.choices[0];
                const turn = { role: "tool", tool_call_id: message.tool_calls[0].id, content: task.result };
                const last = said(await create({ tools, messages: [...asked, message, turn] }));
                return { ...last, tools: first.tools };
            },
            async schema() {
                const format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: task.schema } };
                return JSON.parse((await create({ response_format: format })).choices[0].message.content);
            },
            async embed() {
                const { data } = await client.embeddings.create({ model: task.model, input: task.texts });
                return data.map((row) => row.embedding);
            },
            problem: (error) => ({
                kind: error.constructor.name,
                status: error.status,
                message: error.error.message,
                code: error.code,
            }),
            async leave() {
                const running = await create({ stream: true });
                for await (const _ of running) break; // leaving the loop ends the request
                return { left_at: now() };
            },
        };
    },

    ollama() {
        const client = new Ollama({ host: task.url, headers: { Authorization: `Bearer ${task.key}` } });
        const request = { model: task.model, messages: asked, options: { temperature: 0 } };
        const calls = (message) => (message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments]);
        const said = (answer) => ({
            text: answer.message.content,
            finish: answer.done_reason,
            input_tokens: answer.prompt_eval_count,
            output_tokens: answer.eval_count,
            tools: calls(answer.message),
        });
        const stream = async (more) => {
            let [text, found, last] = ["", [], null];
            for await (const part of await client.chat({ ...request, stream: true, ...more })) {
                text += part.message.content ?? "";
                found = found.concat(calls(part.message));
                last = part;
            }
            return { ...said(last), text, tools: found };
        };
        return {
            chat: async () => said(await client.chat(request)),
            stream: () => stream(),
            async tools() {
                const answer = await client.chat({ ...request, tools });
                const first = said(answer);
                same(first.tools, (await stream({ tools })).tools);
                if (task.result === null) return first;
                const turn = { role: "tool", tool_name: task.tool.name, content: task.result };
                const last = said(await client.chat({ ...request, tools, messages: [...asked, answer.message, turn] }));
                return { ...last, tools: first.tools };
            },
            schema: async () => JSON.parse((await client.chat({ ...request, format: task.schema })).message.content),
            embed: async () => (await client.embed({ model: task.model, input: task.texts })).embeddings,
            problem: (error) => ({ kind: error.name, status: error.status_code, message: error.error }),
            async leave() {
                const running = await client.chat({ ...request, stream: true });
                for await (const _ of running) break;
                running.abort();
                return { left_at: now() };
            },
        };
    },
};

const client = clients[task.client]();
let told;
if (task.do === "problem") {
    try {
        await client.chat();
    } catch (error) {
        told = client.problem(error);
    }
} else {
    told = await client[task.do]();
}
console.log(JSON.stringify(told ?? null));
// A connection that is kept open would keep the process, too.
process.exit(0);
