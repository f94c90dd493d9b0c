/* SPDX-License-Identifier: MIT */
/* The schema as numbered steps of SQL. Append-only: a step that was released is never edited, because files that it made
 * exist. It holds no logic: store_migrate.c decides what runs.
 *
 * Times are milliseconds since 1970 (UTC), durations microseconds, sizes bytes. Texts are NULL where content is not kept.
 * The triggers keep the word index right when another program edits the file; Bezel's own connection has triggers off
 * (a file from elsewhere may bring its own) and maintains the index itself. */
#include "store_impl.h"

#define UTC(ms) "strftime('%Y-%m-%dT%H:%M:%fZ', " ms " / 1000.0, 'unixepoch')"

#define TABLES \
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID;" \
    "CREATE TABLE conversation(" \
    "  id TEXT PRIMARY KEY NOT NULL, title TEXT, user TEXT, model TEXT," \
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) WITHOUT ROWID;" \
    "CREATE INDEX conversation_updated ON conversation(updated_ms);" \
    "CREATE TABLE turn(" \
    "  id TEXT PRIMARY KEY NOT NULL, conversation TEXT REFERENCES conversation(id), user TEXT, model TEXT," \
    "  started_ms INTEGER NOT NULL, duration_us INTEGER NOT NULL, status TEXT, error TEXT," \
    "  withdrawn INTEGER NOT NULL) WITHOUT ROWID;" \
    "CREATE INDEX turn_conversation ON turn(conversation);" \
    "CREATE TABLE message(" \
    "  id INTEGER PRIMARY KEY, turn TEXT NOT NULL REFERENCES turn(id)," \
    "  conversation TEXT NOT NULL REFERENCES conversation(id)," \
    "  step INTEGER NOT NULL, role TEXT NOT NULL, bytes INTEGER NOT NULL, text TEXT);" \
    "CREATE INDEX message_conversation ON message(conversation, id);" \
    "CREATE INDEX message_turn ON message(turn);" \
    "CREATE TABLE tool_call(" \
    "  id INTEGER PRIMARY KEY, turn TEXT NOT NULL REFERENCES turn(id)," \
    "  conversation TEXT REFERENCES conversation(id), step INTEGER NOT NULL, name TEXT NOT NULL," \
    "  arguments TEXT, result TEXT, error_code TEXT, error TEXT, repeated INTEGER NOT NULL," \
    "  duration_us INTEGER NOT NULL);" \
    "CREATE INDEX tool_call_conversation ON tool_call(conversation, id);" \
    "CREATE INDEX tool_call_turn ON tool_call(turn);" \
    "CREATE INDEX tool_call_name ON tool_call(name);" \
    "CREATE TABLE usage(" \
    "  id INTEGER PRIMARY KEY, turn TEXT NOT NULL REFERENCES turn(id)," \
    "  conversation TEXT REFERENCES conversation(id), user TEXT, model TEXT, step INTEGER NOT NULL," \
    "  started_ms INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL," \
    "  generated_tokens INTEGER NOT NULL, dropped_tokens INTEGER NOT NULL, first_token_us INTEGER NOT NULL," \
    "  duration_us INTEGER NOT NULL, tokens_per_second REAL, stop_reason TEXT NOT NULL, error TEXT);" \
    "CREATE INDEX usage_conversation ON usage(conversation);" \
    "CREATE INDEX usage_turn ON usage(turn);" \
    "CREATE INDEX usage_started ON usage(started_ms);"

#define WORDS \
    "CREATE VIRTUAL TABLE message_words USING fts5(text, content='message', content_rowid='id'," \
    "  tokenize=\"unicode61 remove_diacritics 2\");" \
    "CREATE TRIGGER message_added AFTER INSERT ON message WHEN new.text IS NOT NULL BEGIN" \
    "  INSERT INTO message_words(rowid, text) VALUES (new.id, new.text); END;" \
    "CREATE TRIGGER message_deleted AFTER DELETE ON message WHEN old.text IS NOT NULL BEGIN" \
    "  INSERT INTO message_words(message_words, rowid, text) VALUES ('delete', old.id, old.text); END;" \
    "CREATE TRIGGER message_changed AFTER UPDATE OF text ON message BEGIN" \
    "  INSERT INTO message_words(message_words, rowid, text)" \
    "    SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL;" \
    "  INSERT INTO message_words(rowid, text) SELECT new.id, new.text WHERE new.text IS NOT NULL; END;"

/* Columns of the usage_by_... views; the answer's speed leaves out the time to the first token. */
#define USAGE_SUMS \
    "  count(DISTINCT turn) AS turns, count(*) AS model_calls, sum(prompt_tokens) AS prompt_tokens," \
    "  sum(cached_tokens) AS cached_tokens, sum(generated_tokens) AS generated_tokens," \
    "  sum(dropped_tokens) AS dropped_tokens, sum(error IS NOT NULL) AS errors," \
    "  round(sum(duration_us) / 1e6, 3) AS seconds," \
    "  round(avg(first_token_us) FILTER (WHERE generated_tokens > 0) / 1e3, 1) AS mean_first_token_ms," \
    "  round(sum(max(generated_tokens - 1, 0)) * 1e6 /" \
    "    nullif(sum(CASE WHEN generated_tokens > 1 THEN duration_us - first_token_us ELSE 0 END), 0), 1)" \
    "    AS answer_tokens_per_second"

#define USAGE_VIEWS \
    "CREATE VIEW usage_by_day AS SELECT date(started_ms / 1000, 'unixepoch') AS day," USAGE_SUMS \
    "  FROM usage GROUP BY 1 ORDER BY 1 DESC;" \
    "CREATE VIEW usage_by_model AS SELECT model," USAGE_SUMS " FROM usage GROUP BY model" \
    "  ORDER BY model_calls DESC, model;" \
    "CREATE VIEW usage_by_user AS SELECT user," USAGE_SUMS " FROM usage GROUP BY user" \
    "  ORDER BY model_calls DESC, user;" \
    "CREATE VIEW usage_by_tool AS SELECT name AS tool, count(*) AS calls, sum(repeated) AS repeated," \
    "  sum(error_code IS NOT NULL) AS failed," \
    "  round(avg(tool_call.duration_us) FILTER (WHERE tool_call.duration_us > 0) / 1e3, 1) AS mean_ms," \
    "  round(max(tool_call.duration_us) / 1e3, 1) AS slowest_ms, " UTC("max(turn.started_ms)") " AS last_used" \
    "  FROM tool_call JOIN turn ON turn.id = tool_call.turn GROUP BY name ORDER BY calls DESC, name;"

#define TURN_VIEWS \
    "CREATE VIEW conversation_text AS SELECT c.id AS conversation, c.title, c.user," \
    "  " UTC("t.started_ms") " AS created, m.role, m.step, m.text, m.id AS message, t.error" \
    "  FROM message m JOIN conversation c ON c.id = m.conversation JOIN turn t ON t.id = m.turn" \
    "  ORDER BY m.conversation, m.id;" \
    "CREATE VIEW slowest_turns AS SELECT id AS turn, conversation, user, model, " UTC("started_ms") " AS started," \
    "  round(duration_us / 1e6, 3) AS seconds," \
    "  (SELECT count(*) FROM usage u WHERE u.turn = turn.id) AS model_calls," \
    "  (SELECT count(*) FROM tool_call k WHERE k.turn = turn.id) AS tool_calls," \
    "  (SELECT sum(prompt_tokens) FROM usage u WHERE u.turn = turn.id) AS prompt_tokens," \
    "  (SELECT sum(generated_tokens) FROM usage u WHERE u.turn = turn.id) AS generated_tokens, status, error" \
    "  FROM turn ORDER BY duration_us DESC LIMIT 100;" \
    "CREATE VIEW recent_turns AS SELECT id AS turn, conversation, user, model, " UTC("started_ms") " AS started," \
    "  round(duration_us / 1e6, 3) AS seconds," \
    "  (SELECT text FROM message m WHERE m.turn = turn.id AND m.role = 'user' ORDER BY m.id LIMIT 1) AS question," \
    "  (SELECT group_concat(name, ', ') FROM tool_call k WHERE k.turn = turn.id) AS tools," \
    "  (SELECT text FROM message m WHERE m.turn = turn.id AND m.role = 'assistant' ORDER BY m.id DESC LIMIT 1)" \
    "    AS answer, status, error FROM turn ORDER BY id DESC LIMIT 100;" \
    "CREATE VIEW recent_errors AS SELECT " UTC("t.started_ms") " AS started, t.id AS turn, t.user, t.model, u.step," \
    "  u.stop_reason, coalesce(u.error, t.status) AS status, t.error" \
    "  FROM turn t LEFT JOIN usage u ON u.turn = t.id AND u.error IS NOT NULL" \
    "  WHERE t.error IS NOT NULL OR u.error IS NOT NULL ORDER BY t.id DESC, u.id DESC LIMIT 100;"

/* OpenTelemetry's semantic conventions for generative AI, one row a span: inference ("chat") and tool execution. */
#define OTEL_VIEW \
    "CREATE VIEW otel_genai AS" \
    "  SELECT 'chat' AS \"gen_ai.operation.name\", 'bezel' AS \"gen_ai.provider.name\"," \
    "    u.model AS \"gen_ai.request.model\", u.conversation AS \"gen_ai.conversation.id\"," \
    "    u.prompt_tokens AS \"gen_ai.usage.input_tokens\", u.cached_tokens AS \"gen_ai.usage.cache_read.input_tokens\"," \
    "    u.generated_tokens AS \"gen_ai.usage.output_tokens\"," \
    "    CASE u.stop_reason WHEN 'eos' THEN '[\"stop\"]' WHEN 'stop' THEN '[\"stop\"]'" \
    "      WHEN 'max_tokens' THEN '[\"length\"]' WHEN 'context' THEN '[\"length\"]' ELSE '[\"' || u.stop_reason || '\"]' END" \
    "      AS \"gen_ai.response.finish_reasons\"," \
    "    u.first_token_us / 1e6 AS \"gen_ai.server.time_to_first_token\"," \
    "    u.duration_us / 1e6 AS \"gen_ai.client.operation.duration\"," \
    "    u.error AS \"error.type\", u.user AS \"user.id\"," \
    "    NULL AS \"gen_ai.tool.name\", NULL AS \"gen_ai.tool.call.arguments\", NULL AS \"gen_ai.tool.call.result\"," \
    "    u.turn AS trace, " UTC("u.started_ms") " AS started FROM usage u" \
    "  UNION ALL" \
    "  SELECT 'execute_tool', 'bezel', t.model, k.conversation, NULL, NULL, NULL, NULL, NULL, k.duration_us / 1e6," \
    "    k.error_code, t.user, k.name, k.arguments, k.result, k.turn, " UTC("t.started_ms") \
    "    FROM tool_call k JOIN turn t ON t.id = k.turn WHERE k.repeated = 0;"

/* What was decided in turns; turns of agents that work for other agents name the turn they work for. */
#define DECISIONS \
    "ALTER TABLE turn ADD COLUMN span TEXT;" \
    "ALTER TABLE turn ADD COLUMN parent TEXT;" \
    "CREATE INDEX turn_span ON turn(span);" \
    "CREATE INDEX turn_parent ON turn(parent);" \
    "CREATE TABLE decision(" \
    "  id INTEGER PRIMARY KEY, turn TEXT NOT NULL REFERENCES turn(id)," \
    "  conversation TEXT REFERENCES conversation(id), step INTEGER NOT NULL, call INTEGER," \
    "  at_us INTEGER NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL, name TEXT, detail TEXT);" \
    "CREATE INDEX decision_conversation ON decision(conversation);" \
    "CREATE INDEX decision_turn ON decision(turn);" \
    "CREATE VIEW decisions AS SELECT " UTC("(t.started_ms + d.at_us / 1000)") " AS at, d.turn, d.conversation, t.user, t.model," \
    "  d.step, d.call, d.kind, d.outcome, d.name, d.detail FROM decision d JOIN turn t ON t.id = d.turn ORDER BY d.id DESC;" \
    "CREATE VIEW usage_by_root AS WITH RECURSIVE below(root, turn, span, depth) AS (" \
    "  SELECT id, id, span, 0 FROM turn WHERE parent IS NULL UNION ALL" \
    "  SELECT b.root, t.id, t.span, b.depth + 1 FROM turn t JOIN below b ON t.parent = b.span WHERE b.depth < 64)" \
    "  SELECT r.id AS turn, r.conversation, r.user, " UTC("r.started_ms") " AS started, count(DISTINCT b.turn) AS turns," \
    "  max(b.depth) AS depth, count(u.id) AS model_calls, coalesce(sum(u.prompt_tokens), 0) AS prompt_tokens," \
    "  coalesce(sum(u.cached_tokens), 0) AS cached_tokens, coalesce(sum(u.generated_tokens), 0) AS generated_tokens," \
    "  round(r.duration_us / 1e6, 3) AS seconds, r.status" \
    "  FROM below b JOIN turn r ON r.id = b.root LEFT JOIN usage u ON u.turn = b.turn GROUP BY r.id ORDER BY r.id DESC;"

const char *const bz_store_steps[] = {
    /* 0 to 1: version 0.1.0 */
    TABLES WORDS USAGE_VIEWS TURN_VIEWS OTEL_VIEW
    "INSERT INTO meta(key, value) VALUES ('created_by', 'Bezel " BEZEL_VERSION_TEXT "');",
    /* 1 to 2: decisions, turns of agents below agents */
    DECISIONS,
    /* 2 to 3: tokens that a constraint left no choice for */
    "ALTER TABLE usage ADD COLUMN forced_tokens INTEGER NOT NULL DEFAULT 0;",
};
const int bz_store_version = (int)(sizeof bz_store_steps / sizeof bz_store_steps[0]);

/* ORDER as a reader wants them; every view of the schema is here. */
static const char *const view_names[] = {
    "usage_by_day", "usage_by_model", "usage_by_user",  "usage_by_tool", "recent_turns",
    "slowest_turns", "recent_errors", "conversation_text", "decisions", "usage_by_root", "otel_genai", NULL,
};

const char *const *bezel_store_views(void)
{
    return view_names;
}
