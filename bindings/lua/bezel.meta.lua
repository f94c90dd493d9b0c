-- SPDX-License-Identifier: MIT
-- Editor annotations (LuaLS) of the module. Not loaded by anything. The test tests/lua/meta.lua holds it against the module.
---@meta bezel

---@class bezel
---@field version string
---@field null lightuserdata JSON null inside lists and decoded JSON
---@field json bezel.json
---@field http bezel.http
---@field prompts bezel.prompts
local bezel = {}

---@alias bezel.code string name of a status: "missing", "full", "timeout", ...

---Options of the engine; only before anything else is used.
---@param options {threads?: integer, affinity?: string, isa?: "auto"|"scalar"|"avx2"|"avx512"|"neon"|"amx"}
function bezel.setup(options) end

---Whether this build has a part: "http", "mcp", "store", "agents", "blas", "avx2", "avx512".
---@param part string
---@return boolean
function bezel.has(part) end

---What the engine found: instruction sets, threads, BLAS.
---@return table
function bezel.machine() end

---Marks a table as a list, so that an empty one is written as [].
---@generic T: table
---@param t? T
---@return T
function bezel.list(t) end

---@class bezel.load_options
---@field progress? fun(done: number) called with 0..1
---@field kind? "auto"|"pretrained"|"instruct"
---@field map? boolean weights mapped (default) or read into memory
---@field check? boolean look at every weight
---@field vocabulary_only? boolean the weights are not read: tokens, prompts and replays only; false unless given
---@field raw_weights? boolean read the layers' weights as the model file has them, not packed in that folder; false unless given
---@field cache_mb? integer most MiB of kept beginnings of prompts in it, 512 unless given; 0 = keep none
---@field cache? string|false folder for files made from the model (default: the cache folder, XDG); false = none

---@param path? string model file; default: BEZEL_MODEL
---@param options? bezel.load_options
---@return bezel.model? model
---@return string? message
---@return bezel.code? code
function bezel.load(path, options) end

---@class bezel.generate_options
---@field max_tokens? integer
---@field temperature? number 0 = greedy
---@field top_k? integer
---@field top_p? number
---@field min_p? number
---@field repetition_penalty? number
---@field seed? integer
---@field stop? string|string[]
---@field n_ctx? integer context length
---@field chunk? integer prompt tokens a pass
---@field activations? "auto"|"f32"|"q8"
---@field lookup? boolean greedy answers guess from repetitions, the same tokens; default false
---@field kv? "auto"|"f32"|"f16"|"int8" how keys and values are kept; int8 halves the memory and costs some accuracy
---@field head? "auto"|"full"|"screened" how tokens are found; they are the same

---Writes configuration, vocabulary and template to a new file, without weights: for bezel.load with vocabulary_only.
---@param path string
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function model:save_vocabulary(path) end

---@class bezel.model
local model = {}
function model:close() end
---@return "pretrained"|"instruct"
function model:kind() end
---@return string
function model:name() end
---@return table
function model:info() end
---@param text string
---@param options? {bos?: boolean, special?: boolean}
---@return integer[]? ids
---@return string? message
---@return bezel.code? code
function model:tokenize(text, options) end
---@param ids integer[]
---@param options? {special?: boolean}
---@return string? text
---@return string? message
---@return bezel.code? code
function model:detokenize(ids, options) end
---@class bezel.completion
---@field text string
---@field stop_reason "eos"|"stop"|"max_tokens"|"context"|"cancelled"
---@field prompt_tokens integer
---@field tokens_generated integer
---@field generation_time number seconds
---@field tokens_per_second number
---Continues a raw text, without template.
---@param text string
---schema (a table, or JSON text, which keeps the order of properties): the answer is JSON of this schema. choices: it is one of
---these texts.
---@param options? bezel.generate_options|{special?: boolean, schema?: table|string, choices?: string[]}
---@return bezel.completion? result
---@return string? message
---@return bezel.code? code
function model:complete(text, options) end
---Which of some texts follows a raw text, as chat:choose.
---@param text string
---@param choices string[]
---@param options? bezel.generate_options|{special?: boolean}
---@return string? choice
---@return table<string, number>|string probabilities or message
---@return bezel.code? code
function model:choose(text, choices, options) end
---A low-rank adapter for this model: a folder of peft or a GGUF file, as `bezel teach` writes them. It may serve several chats.
---@param path string
---@return bezel.adapter? adapter
---@return string? message
---@return bezel.code? code
function model:adapter(path) end
---@class bezel.adapter
---@field close fun(adapter: bezel.adapter)

---@class bezel.batch_options: bezel.generate_options
---@field special? boolean marks in texts become control tokens
---@field progress? fun(done: integer, total: integer) called when an item has ended; not for each
---@class bezel.batch_answer
---@field responses string[] in the order of the items; "" where one failed
---@field results (bezel.completion|{error: string, code: bezel.code})[]
---@field batch_generation_time number seconds
---@field average_time_per_item number seconds
---Answers many raw texts, or conversations in the model's template, together; each answer is the one it would be alone.
---@param items (string|{role: string, text: string}[])[]
---@param options? bezel.batch_options
---@return bezel.batch_answer
function model:batch(items, options) end
---The same as a loop, `for i, result, done in model:each(items)`, in the order in which they end; done is 0 to 1. Leaving the
---loop ends what is left.
---@param items (string|{role: string, text: string}[])[]
---@param options? bezel.batch_options
---@return fun(): integer?, (bezel.completion|{error: string, code: bezel.code})?, number?
function model:each(items, options) end
---@param options? bezel.chat_options
---@return bezel.chat? chat
---@return string? message
---@return bezel.code? code
function model:chat(options) end

---@class bezel.tool
---@field name string
---@field description? string
---@field parameters? table list of {name=, type=, optional=, ...} in order, or a JSON schema
---@field run fun(args: table): any, string? result, or nil and a message. Runs in a coroutine: one that yields is pending, and the
---next step resumes it with nothing; coroutine.yield(ms) wishes not to be resumed before
---@field permission? "pure"|"read"|"write"|"network"
---@field examples? string[] transcript lines for pretrained models
---@field timeout_ms? integer default 30000; ends a Lua function and patterns inside it, not io.read or os.execute
---@field summary? string|fun(result: any, args: table): string how the result reads in words, for small models: "{city}: {days.0.max}
---degrees" with values of the result, else of the arguments; where it fails the model reads the result
---@field retries? integer how often a call that failed is run again, at most 10; only of pure, read and idempotent tools
---@field retry_ms? integer default 100, doubled each time
---@field idempotent? boolean running it twice does no more than once
---@field always? boolean offered in every turn, where select_tools chooses
---@field parallel? boolean false: serial, begun only when the serial call before it has ended; default true, calls of a turn overlap
---@field memory_mb? integer default 256: what Lua may hold above what it held when the call began

---@class bezel.permission
---@field id integer for chat:answer
---@field name string
---@field permission "unknown"|"pure"|"read"|"write"|"network"
---@field text string exactly what will run, in one line
---@field arguments table

---A role that goes on with the same history after a call of transfer_to_NAME.
---@class bezel.handoff
---@field name string
---@field description? string when to hand over to it
---@field system? string
---@field tools? bezel.tool[]|bezel.tools

---@class bezel.chat_options: bezel.generate_options
---@field system? string
---@field context? string
---@field tools? (bezel.tool|bezel.mcp)[]|bezel.tools
---@field store? bezel.store
---@field conversation? string id from store:begin
---@field user? string
---@field profile? "gemma3"|"gemma2"|"functiongemma"|"gemma4"|"transcript"
---@field max_steps? integer
---@field max_calls? integer
---@field max_result_tokens? integer
---@field overflow? "drop_oldest"|"error"
---@field tool_choice? string "auto" (default), "none", "required", or the name of the tool that a turn calls first
---@field constrain? boolean default true: calls are written under the schemas of the tools
---@field any_order? boolean default false: constrained calls may write their arguments in any order, not only as declared
---@field call_bias? number above 0 calls more often, below 0 less; a logit, default 0
---@field fit? boolean default true: what the question says about each tool weighs calls against text and one tool against another
---@field evidence? boolean default true: arguments of calls lean on the words of the question
---@field permit? table<string, "allow"|"ask"|"deny"> rules of classes (pure, read, write, network, unknown) and of tools, which win;
---without one, pure and read run, and the others are asked for where confirm is set, else they run
---@field confirm? fun(request: bezel.permission): boolean?, string? true, or false and a reason for the model; nil = later, chat:answer
---@field confirm_timeout_ms? integer default 300000: then a question without an answer is denied
---@field select_tools? integer of more tools than that, a turn offers so many that fit its question best
---@field handoffs? bezel.handoff[] at most 8 further roles
---@field max_depth? integer chats above one another, default 4
---@field background? boolean the model works on the engine's worker
---@field record? string file that the session is recorded in, made anew: prompts, options, tokens, results of tools, times
---@field replay? string such a file that stands in for the model and the tools: the same questions get the same answers
---@field adapter? bezel.adapter|string low-rank adapter of the model, or its path; a pretrained model then gets the Gemma template
---@field adapter_scale? number how much of it, default 1
---@field monitor? bezel.monitor gets a request for each turn, before the store has it

---@param model bezel.model
---@param options? bezel.chat_options
---@return bezel.chat? chat
---@return string? message
---@return bezel.code? code
function bezel.chat(model, options) end

---@class bezel.event
---@field type "text"|"call"|"result"|"parse_error"|"dropped"|"note"|"ask"
---@field step integer
---@field text? string
---@field name? string
---@field code? string
---@field arguments? table
---@field result? any
---@field count? integer
---@field id? integer of an "ask", for chat:answer

---@class bezel.turn
---@field text string
---@field calls table[] {name, arguments, result|error, code, repeated, step, duration_ms}
---@field stop_reason string
---@field call_probability? number of a call as the beginning of the turn, before call_bias, where the model was free to answer in text
---@field name_probability? number with which the name of the first call was chosen from several
---@field usage {steps: integer, prompt_tokens: integer, cached_tokens: integer, tokens_generated: integer, dropped_tokens: integer, forced_tokens: integer, first_token_time: number, generation_time: number}

---@class bezel.chat
local chat = {}
function chat:close() end
---@param text string
---@param on_event? fun(event: bezel.event)
---@return bezel.turn? turn
---@return string? message
---@return bezel.code? code
function chat:ask(text, on_event) end
---`for text in chat:stream(question) do ... end`; raises when the turn fails; leaving the loop ends the turn. Without a
---loop, call it until nil, or cancel and step.
---@param text string
---@return fun(): string?
function chat:stream(text) end
---Begins a turn for step.
---@param text string
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function chat:send(text) end
---"pending" and milliseconds until a tool that yielded wants to go on: step again by then.
---@param budget_ms? number default: until there is something to read
---@return "more"|"token"|"pending"|"done"|nil status
---@return string|number|nil message
---@return bezel.code? code
function chat:step(budget_ms) end
---@return bezel.event?
function chat:event() end
---The last finished turn.
---@return bezel.turn? turn
---@return string? message
---@return bezel.code? code
function chat:result() end
function chat:cancel() end
---Answers an event "ask", or what confirm left for later.
---@param id integer
---@param allowed boolean
---@param reason? string for the model
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function chat:answer(id, allowed, reason) end
---The rule of a tool from its next call on.
---@param tool string
---@param rule? "allow"|"ask"|"deny"
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function chat:permit(tool, rule) end
---The next question has text that neither the script nor its user wrote: a file, a page, a mail.
function chat:taint() end
---Whether the model has read such text, or results of tools that are not pure: then write and network tools are asked for.
---@return boolean
function chat:tainted() end
---@return string name "main", or one of handoffs
function chat:role() end
---Sleeps while pending tools have nothing to do; ask and stream do it by themselves.
---@param max_ms? number
function chat:wait(max_ms) end
---@return integer? fd readable when step has something (background = true)
function chat:fd() end
---@return {role: string, text: string}[]
function chat:history() end
---@param messages {role: string, text: string}[]
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function chat:append(messages) end
function chat:clear() end
---The exact text that ask(text) would send; without text the history as it stands.
---@param text? string
---@return string? prompt
---@return string? message
---@return bezel.code? code
function chat:prompt(text) end
---A turn whose answer is a value of a JSON schema: no tool is called, question and answer go into the history. docs/schemas.md
---says which keywords hold while the model writes; the others are checked afterwards.
---@param schema table|string a table, or JSON text, which keeps the order of properties
---@param question string
---@return any value
---@return bezel.turn|string? turn or message
---@return bezel.code? code
function chat:json(schema, question) end
---Which of some texts the model would answer, with the probability of each: that of the whole text, normalised over the
---choices. Beside the conversation: the history stays as it is. Of two choices of which one begins the other, end both in "\n".
---@param choices string[]
---@param question? string
---@return string? choice
---@return table<string, number>|string probabilities or message
---@return bezel.code? code
function chat:choose(choices, question) end

---A tool whose parameter `task` is a question to another chat, each with an empty history; more fields as those of a tool.
---@param chat bezel.chat
---@param options {name: string, description?: string}
---@return bezel.tool
function bezel.agent_tool(chat, options) end
---@param tools (bezel.tool|bezel.mcp)[]
---@return bezel.tools
function bezel.tools(tools) end
---@class bezel.tools
local tools = {}
function tools:close() end
---@return string[]
function tools:names() end
---@return string[]
function tools:warnings() end
---What a model's output means, without running anything.
---@param text string
---@param options? {repair_tail?: boolean, stopped?: "end"|"limit"}
---@return {text: string, calls: table[], errors: table[], warnings: table}? result
---@return string? message
---@return bezel.code? code
function tools:parse(text, options) end

---@param path string
---@param options? {read_only?: boolean, durable?: boolean, keep_content?: boolean, busy_ms?: integer, user_keys?: string[], max_windows?: integer, max_bytes?: integer, content_days?: integer} user_keys: 32 bytes each, oldest first
---@return bezel.store? store
---@return string? message
---@return bezel.code? code
function bezel.store(path, options) end
---@class bezel.store
local store = {}
function store:close() end
---Rows of a read-only statement; further arguments fill ?1, ?2, ...
---@param sql string
---@param ... any
---@return table[]? rows
---@return string? message
---@return bezel.code? code
function store:query(sql, ...) end
---@param name string one of store:views()
---@param limit? integer most rows, 0 to 100000, default 10000
---@return table[]? rows
---@return string? message
---@return bezel.code? code
function store:view(name, limit) end
---@return string[]
function store:views() end
---Removes content that is too old and the oldest rows of a full file, for some time.
---@param budget_ms? integer default 100
---@return boolean? done false when there may be more to do
---@return string? message
---@return bezel.code? code
function store:tidy(budget_ms) end
---Writes the whole file anew, as small as it can be.
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function store:vacuum() end
---What a user is called in the store: a keyed hash when it was opened with keys.
---@param id string
---@return string? name
---@return string? message
---@return bezel.code? code
function store:user(id) end
---Begins a conversation.
---@param title? string
---@param user? string
---@return string? id
---@return string? message
---@return bezel.code? code
function store:begin(title, user) end
---@param limit? integer
---@param offset? integer
---@return table[]? rows newest first
---@return string? message
---@return bezel.code? code
function store:conversations(limit, offset) end
---@param id string
---@return table[]? messages oldest first
---@return string? message
---@return bezel.code? code
function store:messages(id) end
---@param text string
---@param limit? integer
---@return table[]? hits best first
---@return string? message
---@return bezel.code? code
function store:search(text, limit) end
---@param id string
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function store:delete(id) end
---@param path string
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function store:backup(path) end

---Writes all rows as lines of JSON to a new file, for other programs and for store:import.
---@param path string
---@return integer? rows that were written
---@return string? message
---@return bezel.code? code
function store:export(path) end

---Adds the rows of an exported file that are not here yet; all of them or, when a line is wrong, none.
---@param path string
---@return integer? rows that were new
---@return string? message with the number of the line
---@return bezel.code? code
function store:import(path) end

---Writes the store as one page of HTML for a browser. An older report at path is replaced, another file is not.
---@param path string
---@param options? {days: integer, conversations: integer} the last days only (0 = all); latest conversations (default 100, 0 = none)
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function store:report(path, options) end

---@class bezel.mcp_options
---@field command string[] the program and its arguments; no shell reads them
---@field name? string tools are called NAME__tool; default: as the server calls them
---@field only? string[] names of the tools to take, as the server calls them; default: all
---@field environment? table<string, string> added to HOME, LANG, LC_ALL, LOGNAME, PATH, SHELL, TERM, TMPDIR, TZ and USER
---@field folder? string where it works
---@field permission? "pure"|"read"|"write"|"network" of its tools; default "network"
---@field trust_hints? boolean tools that the server calls read-only are "read", those it calls local "write"; default false
---@field protocol? string version; default: found out
---@field timeout_ms? integer of a call; default 30000
---@field start_timeout_ms? integer default 30000
---@field max_restarts? integer starts anew without an answered call between them; default 3
---@field max_message? integer bytes; default 16 MiB

---Starts an MCP server; its tools go into a chat or a toolset as an item of the list. Absent in a build without the part "mcp".
---@param options bezel.mcp_options
---@return bezel.mcp? server
---@return string? message
---@return bezel.code? code
function bezel.mcp(options) end
---@class bezel.mcp
local mcp = {}
---Ends the server; its tools fail from then on.
function mcp:close() end
---Calls a tool for the script itself, by the server's own name.
---@param name string
---@param arguments? table
---@return any value
---@return string? message
---@return bezel.code? code
function mcp:call(name, arguments) end
---@return {name: string, description?: string, parameters?: table, read_only?: boolean, local?: boolean}[]
function mcp:tools() end
---@return {name: string, version: string, protocol: string, pid: integer, starts: integer}
function mcp:info() end
---Reads what has arrived, and never blocks.
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function mcp:poll() end
---Whether the server has said that its tools are others now: what is made from it next (a chat, bezel.tools) has the new ones.
---@return boolean
function mcp:changed() end
---@return integer? fd readable when poll has something; nil while no process runs
function mcp:fd() end
---@return string[] about tools that were left out and messages that made no sense
function mcp:warnings() end
---@return string text the end of what it wrote to its standard error
function mcp:stderr() end

---@class bezel.json
local json = {}
---@param value any
---@param options? {indent?: integer}
---@return string? text
---@return string? message
---@return bezel.code? code
function json.encode(value, options) end
---@param text string
---@return any value
---@return string? message
---@return bezel.code? code
function json.decode(text) end

---@class bezel.http
local http = {}
---@class bezel.http_options
---@field headers? table<string, string>
---@field timeout_ms? integer
---@field max_size? integer bytes
---@field max_redirects? integer
---@field allow_private? boolean loopback and private networks
---@param url string
---@param options? bezel.http_options
---@return {status: integer, body: string, url: string}? response
---@return string? message
---@return bezel.code? code
function http.get(url, options) end
---@param url string
---@param options? bezel.http_options|{method?: string, body?: string}
---@return {status: integer, body: string, url: string}? response
---@return string? message
---@return bezel.code? code
function http.request(url, options) end
---For a place in a query string.
---@param text string
---@return string
function http.escape(text) end

---Prompts as lists of messages {role=, content=, text=}, for a service or a chat. `tasks`, `cultures` and `styles` add texts by name.
---@class bezel.prompts
local prompts = {}
---@param options {task: string, question: string, context?: string, tasks?: table<string, string>}
---@return table[]? messages
---@return string? message
---@return bezel.code? code
function prompts.image(options) end
---An unknown style is "formal".
---@param options {culture: string, style?: string, request: string, cultures?: table<string, string>, styles?: table<string, string>}
---@return table[]? messages
---@return string? message
---@return bezel.code? code
function prompts.culture(options) end
---@param options {tools: (bezel.tool|bezel.mcp)[]|bezel.tools, request: string, context?: string}
---@return table[]? messages
---@return string? message
---@return bezel.code? code
function prompts.functions(options) end
---@return {tasks: string[], cultures: string[], styles: string[]}
function prompts.names() end

---@class bezel.thresholds limits over the last requests of a model
---@field max_response_s? number default 10
---@field max_memory_mb? number default 8192
---@field min_tokens_per_second? number default 5
---@field min_success_rate? number default 0.95
---@class bezel.monitor_options
---@field max_records? integer rows that are kept in memory, default 10000
---@field alert_window? integer requests that alerts look at, default 10
---@field max_probe_ms? integer of a health check, default 5000
---@field thresholds? bezel.thresholds of all models
---@field models? table<string, bezel.thresholds> of single ones, by name
---@field store? bezel.store where rows go
---@field score? fun(question: string, answer: string, scores: table, reference: string?): table? better scores, 0 to 1; asked
---for answers of evaluate, and of turns of chats and of services that have the monitor
---@class bezel.alert
---@field type "performance"|"memory"|"reliability"|"error"
---@field severity "low"|"medium"|"high"
---@field metric string
---@field message string
---@field model string
---@field value number
---@field threshold number
---@field timestamp number
---@field over boolean true: it has ended
---@param options? bezel.monitor_options
---@return bezel.monitor? monitor
---@return string? message
---@return bezel.code? code
function bezel.monitor(options) end
---@class bezel.monitor
local monitor = {}
function monitor:close() end
---A request by hand; memory is measured unless it is given.
---@param request {model?: string, user?: string, conversation?: string, operation?: string, span?: string, code?: string, error?: string, success?: boolean, response_time?: number, first_token_time?: number, tokens?: integer, prompt_tokens?: integer, cached_tokens?: integer, input_length?: integer, memory_mb?: number}
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function monitor:add(request) end
---@param answer {question: string, answer: string, reference?: string, satisfaction?: number, model?: string, user?: string, span?: string}
---@return {relevance: number, coherence: number, safety: number, accuracy: number, satisfaction?: number}? scores
---@return string? message
---@return bezel.code? code
function monitor:evaluate(answer) end
---@param n? integer default 100
---@param model? string
---@return {requests: integer, successful: integer, success_rate: number, mean_response_time: number, mean_memory_mb: number, mean_tokens_per_second: number, p50_response_time: number, p95_response_time: number, p99_response_time: number, total_tokens: integer}? summary
---@return string? message
---@return bezel.code? code
function monitor:summary(n, model) end
---@param n? integer default 100
---@param model? string
---@return {evaluations: integer, relevance: number, coherence: number, safety: number, accuracy: number, overall: number, satisfaction?: number}? summary
---@return string? message
---@return bezel.code? code
function monitor:quality(n, model) end
---@return bezel.alert[] that hold now
function monitor:alerts() end
---@return bezel.alert? that began or ended
function monitor:event() end
---Ten tokens to "Hello"; blocks for them, at most for four times max_probe_ms. Without a model the service is unhealthy.
---@param model? bezel.model
---@return {status: "healthy"|"degraded"|"unhealthy", model_loaded: boolean, multimodal_enabled: boolean, response_time: number, memory_usage: number, errors: string[]}? health
---@return string? message
---@return bezel.code? code
function monitor:health(model) end
---The same in steps, for a program that must not stand still.
---@param model? bezel.model
---@return bezel.probe? probe
---@return string? message
---@return bezel.code? code
function monitor:probe(model) end
---@class bezel.probe
local probe = {}
function probe:close() end
---@param budget_ms? number about how long it may work; default to the end
---@return "more"|{status: "healthy"|"degraded"|"unhealthy", model_loaded: boolean, multimodal_enabled: boolean, response_time: number, memory_usage: number, errors: string[]}? health
---@return string? message
---@return bezel.code? code
function probe:step(budget_ms) end
---@return string? json
---@return string? message
---@return bezel.code? code
function monitor:json() end
---@return string? text in Prometheus' format
---@return string? message
---@return bezel.code? code
function monitor:prometheus() end
---@param path string
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function monitor:export(path) end

---@class bezel.service_options: bezel.generate_options
---@field guard? bezel.guard default: one of its own
---@field adapter? bezel.adapter|string low-rank adapter of the model, or its path; a pretrained model then gets the Gemma template
---@field adapter_scale? number how much of it, default 1
---@field monitor? bezel.monitor gets each request with the guard's decisions
---@field store? bezel.store gets each request that reached the model, numbers only unless conversation is set
---@field conversation? string id from store:begin
---@field hash_key? string 32 bytes
---@field profile? "gemma3"|"gemma2"|"functiongemma"|"gemma4"|"transcript"
---@class bezel.answer
---@field success boolean
---@field response? string
---@field error? string
---@field error_code? "RATE_LIMIT_EXCEEDED"|"VALIDATION_ERROR"|"CONTENT_FILTERED"|"RESPONSE_FILTERED"|"GENERATION_ERROR"
---@field generation_time number
---@field tokens_used integer
---@field prompt_tokens integer
---@field removed integer
---@field cut integer
---@field stop_reason string
---@field span string
---@field input_hash string
---@field retry_s? number after RATE_LIMIT_EXCEEDED
---@param model bezel.model
---@param options? bezel.service_options
---@return bezel.service? service
---@return string? message
---@return bezel.code? code
function bezel.service(model, options) end
---@class bezel.service
local service = {}
function service:close() end
---Counts, checks, cleans, filters, answers: everything in one call. on_text gets what may go out while it is made.
---@param user string?
---@param messages {role: string, content: string}[]
---@param on_text? fun(text: string)
---@return bezel.answer? answer
---@return string? message
---@return bezel.code? code
function service:generate(user, messages, on_text) end
---Begins a request for step.
---@param user string?
---@param messages {role: string, content: string}[]
---@return boolean? ok
---@return string? message
---@return bezel.code? code
function service:ask(user, messages) end
---"token" comes with a text, "done" with the answer.
---@param budget_ms? number
---@return "more"|"token"|"done"|nil status
---@return string|bezel.answer|nil text or answer or message
---@return bezel.code? code
function service:step(budget_ms) end
function service:cancel() end
---@param user? string
---@return {used: integer, remaining: integer, reset_s: number, forgotten: integer, bytes: integer}? rate
---@return string? message
---@return bezel.code? code
function service:rate(user) end

---@class bezel.guard_pattern
---@field name string
---@field pattern string in PCRE2's syntax, matched without regard to case
---A model that is asked whether a text breaks a rule, by the probabilities of Yes and No.
---@param model bezel.model
---@param options? {policy?: string, threshold?: number, form?: "plain"|"shieldgemma", n_ctx?: integer}
---@return bezel.judge? judge
---@return string? message
---@return bezel.code? code
function bezel.judge(model, options) end
---@class bezel.judge
local judge = {}
function judge:close() end
---@param text string
---@param direction? "input"|"output"
---@return number? probability of a violation
---@return string? message
---@return bezel.code? code
function judge:score(text, direction) end

---@class bezel.guard_options
---@field max_characters? integer default 8192
---@field max_messages? integer default 50
---@field max_requests? integer of a user in a window, default 100
---@field window_s? integer default 3600
---@field words? string[] that a text may not have; default violence, hate, illegal, harmful
---@field patterns? bezel.guard_pattern[] that a text may not match
---@field remove? bezel.guard_pattern[] that are taken out of a text
---@field judge? bezel.judge|fun(text: string, direction: "input"|"output"): boolean, string? a model, or whether a text is allowed, and a reason
---@field max_held? integer most bytes of an answer that are held back, default 4096
---@field store? bezel.store where the windows of users live, for several processes and restarts; default: in memory

---Cleans and filters texts and counts requests.
---@param options? bezel.guard_options
---@return bezel.guard? guard
---@return string? message
---@return bezel.code? code
function bezel.guard(options) end
---@class bezel.guard
local guard = {}
function guard:close() end
---@class bezel.clean_report
---@field removed integer matches of patterns
---@field invisible integer characters
---@field repaired integer bytes that were no UTF-8
---@field cut integer characters
---@field names string of the patterns
---@param text string
---@return string? text
---@return bezel.clean_report|string report or message
---@return bezel.code? code
function guard:clean(text) end
---@class bezel.verdict
---@field rule string "word", the name of a pattern, "judge" or "limit"
---@field detail? string the word, or the judge's reason
---@field from integer first byte
---@field to integer last byte
---@param text string
---@param direction? "input"|"output"
---@return boolean? allowed
---@return bezel.verdict|string|nil verdict or message
---@return bezel.code? code
function guard:check(text, direction) end
---An answer filtered while it is made: stream:add(piece, last) returns what may go out, or false and a verdict.
---@param direction? "input"|"output" default output
---@return table? stream
---@return string? message
---@return bezel.code? code
function guard:stream(direction) end
---@class bezel.rate
---@field used integer
---@field remaining integer
---@field reset_s number until the oldest request leaves the window
---@field forgotten integer users whose windows were given up for lack of memory
---@field bytes integer that windows take
---Counts a request, if there is room for it.
---@param user? string
---@return boolean? allowed
---@return bezel.rate|string rate or message
---@return bezel.code? code
function guard:request(user) end
---@param user? string
---@return bezel.rate? rate
---@return string? message
---@return bezel.code? code
function guard:rate(user) end
---@param messages {role: string, content: string}[]
---@return true? ok
---@return string? message
---@return bezel.code? code
function guard:validate(messages) end

return bezel
