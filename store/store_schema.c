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

/* --- Version 4: rows of a monitor, windows of a guard, totals ------------------------------- */

/* What a bezel_monitor tells, one table a struct of monitor.h. `user` here and everywhere is what store_name.c makes of the
 * host's id. Rows of `request` go when the file is full, totals stay. */
#define MONITOR \
    "CREATE TABLE request(" \
    "  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, span TEXT, conversation TEXT, user TEXT, model TEXT, operation TEXT," \
    "  success INTEGER NOT NULL, code TEXT, error TEXT, stop_reason TEXT, input_hash TEXT," \
    "  input_characters INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL," \
    "  generated_tokens INTEGER NOT NULL, first_token_us INTEGER NOT NULL, duration_us INTEGER NOT NULL," \
    "  tokens_per_second REAL, memory_bytes INTEGER NOT NULL, allocator_bytes INTEGER NOT NULL, gpu_bytes INTEGER NOT NULL);" \
    "CREATE INDEX request_at ON request(at_ms);" \
    "CREATE INDEX request_model ON request(model, id);" \
    "CREATE INDEX request_span ON request(span) WHERE span IS NOT NULL;" \
    "CREATE INDEX request_conversation ON request(conversation) WHERE conversation IS NOT NULL;" \
    "CREATE TABLE quality(" \
    "  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, span TEXT, user TEXT, model TEXT, relevance REAL, coherence REAL," \
    "  safety REAL, accuracy REAL, has_reference INTEGER NOT NULL, satisfaction REAL);" \
    "CREATE INDEX quality_model ON quality(model, id);" \
    "CREATE TABLE alert(" \
    "  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, model TEXT, type TEXT NOT NULL, severity TEXT NOT NULL, metric TEXT," \
    "  value REAL, threshold REAL, is_over INTEGER NOT NULL, message TEXT);" \
    "CREATE TABLE guard_decision(" \
    "  id INTEGER PRIMARY KEY, request INTEGER, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL, rule TEXT," \
    "  detail TEXT);" \
    "CREATE INDEX guard_decision_request ON guard_decision(request);" \
    "CREATE TABLE health(" \
    "  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, status TEXT NOT NULL, model TEXT, model_loaded INTEGER NOT NULL," \
    "  multimodal INTEGER NOT NULL, response_us INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, errors TEXT);" \
    "CREATE TABLE rate_window(" /* used_minute: not milliseconds, so that most changes leave the index alone */ \
    "  key TEXT PRIMARY KEY NOT NULL, state BLOB NOT NULL, used_minute INTEGER NOT NULL) WITHOUT ROWID;" \
    "CREATE INDEX rate_window_used ON rate_window(used_minute);"

/* Totals, written with the rows that they count and kept when those go. kind: all (name ''), model, user. name '' where the
 * row had none; day '' is the whole time. event_total counts words: error (status of a failed model call or turn), tool (its
 * name, its code), code (of a failed request), guard (kind, outcome, rule of a decision), alert (type, metric). histogram counts
 * durations in microseconds, rounded to two digits, by metric: model_call, first_token, request (name is the model)
 * and tool (its name). */
#define TOTALS \
    "CREATE TABLE usage_total(" \
    "  kind TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, turns INTEGER NOT NULL, model_calls INTEGER NOT NULL," \
    "  prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL," \
    "  dropped_tokens INTEGER NOT NULL, forced_tokens INTEGER NOT NULL, errors INTEGER NOT NULL, duration_us INTEGER NOT NULL," \
    "  first_tokens INTEGER NOT NULL, first_token_us INTEGER NOT NULL, answer_tokens INTEGER NOT NULL," \
    "  answer_us INTEGER NOT NULL, PRIMARY KEY(kind, name, day)) WITHOUT ROWID;" \
    "CREATE TABLE tool_total(" \
    "  name TEXT NOT NULL, day TEXT NOT NULL, calls INTEGER NOT NULL, repeated INTEGER NOT NULL, failed INTEGER NOT NULL," \
    "  timed INTEGER NOT NULL, duration_us INTEGER NOT NULL, slowest_us INTEGER NOT NULL, last_ms INTEGER NOT NULL," \
    "  PRIMARY KEY(name, day)) WITHOUT ROWID;" \
    "CREATE TABLE request_total(" \
    "  model TEXT NOT NULL, day TEXT NOT NULL, requests INTEGER NOT NULL, successful INTEGER NOT NULL," \
    "  prompt_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, duration_us INTEGER NOT NULL," \
    "  memory_bytes INTEGER NOT NULL, PRIMARY KEY(model, day)) WITHOUT ROWID;" \
    "CREATE TABLE quality_total(" \
    "  model TEXT NOT NULL, day TEXT NOT NULL, evaluations INTEGER NOT NULL, relevance REAL NOT NULL, coherence REAL NOT NULL," \
    "  safety REAL NOT NULL, accuracy REAL NOT NULL, satisfactions INTEGER NOT NULL, satisfaction REAL NOT NULL," \
    "  PRIMARY KEY(model, day)) WITHOUT ROWID;" \
    "CREATE TABLE event_total(" \
    "  kind TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, n INTEGER NOT NULL," \
    "  PRIMARY KEY(kind, name, day)) WITHOUT ROWID;" \
    "CREATE TABLE histogram(" \
    "  metric TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, value INTEGER NOT NULL, n INTEGER NOT NULL," \
    "  PRIMARY KEY(metric, name, day, value)) WITHOUT ROWID;"

#define DAY "date(started_ms / 1000, 'unixepoch')"
#define OLD_USAGE(kind, name, day, group) \
    "INSERT INTO usage_total SELECT '" kind "', " name ", " day ", count(DISTINCT turn), count(*), sum(prompt_tokens)," \
    "  sum(cached_tokens), sum(generated_tokens), sum(dropped_tokens), sum(forced_tokens), sum(error IS NOT NULL)," \
    "  sum(duration_us), sum(generated_tokens > 0), sum(CASE WHEN generated_tokens > 0 THEN first_token_us ELSE 0 END)," \
    "  sum(max(generated_tokens - 1, 0)), sum(CASE WHEN generated_tokens > 1 THEN duration_us - first_token_us ELSE 0 END)" \
    "  FROM usage GROUP BY " group ";"
#define OLD_TOOLS(day, group) \
    "INSERT INTO tool_total SELECT k.name, " day ", count(*), sum(k.repeated), sum(k.error_code IS NOT NULL)," \
    "  sum(k.duration_us > 0), sum(k.duration_us), max(k.duration_us), max(started_ms)" \
    "  FROM tool_call k JOIN turn t ON t.id = k.turn GROUP BY " group ";"
#define ROUND(us) "CAST(CAST(printf('%.1e', " us ") AS REAL) AS INTEGER)"
#define OLD_TIMES(metric, name, us, day, from) \
    "INSERT INTO histogram SELECT '" metric "', " name ", " day ", " ROUND(us) ", count(*) FROM " from " GROUP BY 2, 3, 4;"
#define OLD_TIMES_BOTH(metric, name, us, from) OLD_TIMES(metric, name, us, DAY, from) OLD_TIMES(metric, name, us, "''", from)
#define OLD_ROWS \
    OLD_USAGE("all", "''", DAY, "3") OLD_USAGE("model", "coalesce(model, '')", DAY, "2, 3") \
    OLD_USAGE("model", "coalesce(model, '')", "''", "2") OLD_USAGE("user", "coalesce(user, '')", DAY, "2, 3") \
    OLD_USAGE("user", "coalesce(user, '')", "''", "2") OLD_TOOLS(DAY, "1, 2") OLD_TOOLS("''", "1") \
    OLD_TIMES_BOTH("model_call", "coalesce(model, '')", "duration_us", "usage") \
    OLD_TIMES_BOTH("first_token", "coalesce(model, '')", "first_token_us", "usage WHERE generated_tokens > 0") \
    OLD_TIMES_BOTH("tool", "k.name", "k.duration_us", "tool_call k JOIN turn t ON t.id = k.turn WHERE k.duration_us > 0") \
    "INSERT INTO event_total SELECT 'error', error, " DAY ", count(*) FROM usage WHERE error IS NOT NULL GROUP BY 2, 3;" \
    "INSERT INTO event_total SELECT 'error', status, " DAY ", count(*) FROM turn WHERE status IS NOT NULL AND NOT EXISTS" \
    "  (SELECT 1 FROM usage u WHERE u.turn = turn.id AND u.error IS NOT NULL) GROUP BY 2, 3" \
    "  ON CONFLICT DO UPDATE SET n = n + excluded.n;" \
    "INSERT INTO event_total SELECT 'tool', printf('%.70s %.40s', k.name, k.error_code), " DAY ", count(*)" \
    "  FROM tool_call k JOIN turn t ON t.id = k.turn WHERE k.error_code IS NOT NULL GROUP BY 2, 3;"

/* Indices that the views below need on a million rows. */
#define MORE_INDICES \
    "CREATE INDEX turn_duration ON turn(duration_us);" \
    "CREATE INDEX turn_content ON turn(id) WHERE conversation IS NOT NULL;" \
    "CREATE INDEX turn_failed ON turn(id) WHERE error IS NOT NULL;" \
    "CREATE INDEX usage_failed ON usage(id) WHERE error IS NOT NULL;" \
    "DROP VIEW usage_by_day; DROP VIEW usage_by_model; DROP VIEW usage_by_user; DROP VIEW usage_by_tool;" \
    "DROP VIEW recent_errors; DROP VIEW usage_by_root;"

#define TOTAL_COLUMNS \
    "  turns, model_calls, prompt_tokens, cached_tokens, generated_tokens, dropped_tokens, forced_tokens, errors," \
    "  round(duration_us / 1e6, 3) AS seconds," \
    "  round(first_token_us * 1e-3 / nullif(first_tokens, 0), 1) AS mean_first_token_ms," \
    "  round(answer_tokens * 1e6 / nullif(answer_us, 0), 1) AS answer_tokens_per_second"
#define NAMED_VIEWS \
    "CREATE VIEW usage_by_day AS SELECT day," TOTAL_COLUMNS " FROM usage_total WHERE kind = 'all' ORDER BY day DESC;" \
    "CREATE VIEW usage_by_model AS SELECT nullif(name, '') AS model," TOTAL_COLUMNS " FROM usage_total" \
    "  WHERE kind = 'model' AND day = '' ORDER BY model_calls DESC, name;" \
    "CREATE VIEW usage_by_user AS SELECT nullif(name, '') AS user," TOTAL_COLUMNS " FROM usage_total" \
    "  WHERE kind = 'user' AND day = '' ORDER BY model_calls DESC, name;"
#define TOTAL_VIEWS \
    NAMED_VIEWS \
    "CREATE VIEW usage_by_tool AS SELECT name AS tool, calls, repeated, failed," \
    "  round(duration_us * 1e-3 / nullif(timed, 0), 1) AS mean_ms, round(slowest_us / 1e3, 1) AS slowest_ms," \
    "  " UTC("last_ms") " AS last_used FROM tool_total WHERE day = '' ORDER BY calls DESC, name;" \
    "CREATE VIEW errors_by_code AS SELECT kind, name AS code, sum(n) AS n, min(day) AS first_day, max(day) AS last_day" \
    "  FROM event_total WHERE kind IN ('error', 'code') GROUP BY kind, name ORDER BY n DESC, kind, name;" \
    "CREATE VIEW errors_by_tool AS SELECT substr(name, 1, instr(name, ' ') - 1) AS tool," \
    "  substr(name, instr(name, ' ') + 1) AS code, sum(n) AS n, min(day) AS first_day, max(day) AS last_day" \
    "  FROM event_total WHERE kind = 'tool' GROUP BY name ORDER BY n DESC, name;" \
    "CREATE VIEW recent_errors AS SELECT " UTC("t.started_ms") " AS started, t.id AS turn, t.user, t.model, u.step," \
    "  u.stop_reason, coalesce(u.error, t.status) AS status, t.error FROM turn t" \
    "  LEFT JOIN usage u ON u.turn = t.id AND u.error IS NOT NULL WHERE t.id IN (" \
    "    SELECT id FROM (SELECT id FROM turn WHERE error IS NOT NULL ORDER BY id DESC LIMIT 100)" \
    "    UNION SELECT turn FROM (SELECT turn FROM usage WHERE error IS NOT NULL ORDER BY id DESC LIMIT 100))" \
    "  ORDER BY t.id DESC, u.id DESC LIMIT 100;" \
    /* the newest 1000 turns that were asked for by people */ \
    "CREATE VIEW usage_by_root AS WITH RECURSIVE below(root, turn, span, depth) AS (" \
    "  SELECT * FROM (SELECT id, id, span, 0 FROM turn WHERE parent IS NULL ORDER BY id DESC LIMIT 1000) UNION ALL" \
    "  SELECT b.root, t.id, t.span, b.depth + 1 FROM below b CROSS JOIN turn t ON t.parent = b.span WHERE b.depth < 64)" \
    "  SELECT r.id AS turn, r.conversation, r.user, " UTC("r.started_ms") " AS started, count(DISTINCT b.turn) AS turns," \
    "  max(b.depth) AS depth, count(u.id) AS model_calls, coalesce(sum(u.prompt_tokens), 0) AS prompt_tokens," \
    "  coalesce(sum(u.cached_tokens), 0) AS cached_tokens, coalesce(sum(u.generated_tokens), 0) AS generated_tokens," \
    "  round(r.duration_us / 1e6, 3) AS seconds, r.status" \
    "  FROM below b CROSS JOIN turn r ON r.id = b.root LEFT JOIN usage u ON u.turn = b.turn GROUP BY r.id ORDER BY r.id DESC;"

/* The value that p percent of the rows of a histogram are not above. */
#define BELOW(p) "round(min(value) FILTER (WHERE 100 * upto >= " p " * total) / 1e3, 2)"
#define PERCENTILES \
    "  " BELOW("50") " AS p50_ms, " BELOW("95") " AS p95_ms, " BELOW("99") " AS p99_ms, round(max(value) / 1e3, 2) AS max_ms"
#define LATENCY_ROWS(by, where) \
    "  FROM (SELECT metric, " by ", value, n, sum(n) OVER (PARTITION BY metric, " by " ORDER BY value) AS upto," \
    "    sum(n) OVER (PARTITION BY metric, " by ") AS total FROM" \
    "    (SELECT metric, " by ", value, sum(n) AS n FROM histogram WHERE " where " GROUP BY metric, " by ", value))" \
    "  GROUP BY metric, " by
#define FIRST_LATENCY_VIEW \
    "CREATE VIEW latency_by_day AS SELECT day, metric, sum(n) AS n," PERCENTILES \
    LATENCY_ROWS("day", "day >= date('now', '-366 days')") " ORDER BY day DESC, metric;"
#define LATENCY_VIEWS \
    "CREATE VIEW latency_by_model AS SELECT nullif(name, '') AS model, metric, sum(n) AS n," PERCENTILES \
    LATENCY_ROWS("name", "metric <> 'tool' AND day = ''") " ORDER BY name, metric;" \
    "CREATE VIEW latency_by_tool AS SELECT name AS tool, sum(n) AS n," PERCENTILES \
    LATENCY_ROWS("name", "metric = 'tool' AND day = ''") " ORDER BY sum(n) DESC, name;"

/* Quantiles by the exclusive method, as statistics.quantiles of Python gives them: place p * (count + 1) / 100 among the
 * sorted ones, between two neighbours in proportion. */
#define PLACE(p) "max(1, min(c - 1, " p " * (c + 1) / 100))"
#define QUANTILE(p) \
    "round(sum(CASE WHEN c = 1 THEN duration_us * 100 WHEN place = " PLACE(p) " THEN duration_us *" \
    "  (100 - (" p " * (c + 1) - 100 * " PLACE(p) ")) WHEN place = " PLACE(p) " + 1 THEN duration_us *" \
    "  (" p " * (c + 1) - 100 * " PLACE(p) ") ELSE 0 END) FILTER (WHERE success) / 1e8, 6)"
#define SUMMARY \
    "  count(*) AS total_requests, sum(success) AS successful_requests, round(avg(success), 6) AS success_rate," \
    "  round(avg(duration_us) FILTER (WHERE success) / 1e6, 6) AS mean_response_time," \
    "  round(avg(memory_bytes) FILTER (WHERE success) / 1048576.0, 3) AS mean_memory_mb," \
    "  round(avg(tokens_per_second) FILTER (WHERE success), 3) AS mean_tokens_per_second," \
    "  " QUANTILE("50") " AS p50_response_time, " QUANTILE("95") " AS p95_response_time," \
    "  " QUANTILE("99") " AS p99_response_time, sum(generated_tokens) AS total_tokens"
#define SCORES \
    "  count(*) AS evaluations, round(avg(relevance), 6) AS mean_relevance, round(avg(coherence), 6) AS mean_coherence," \
    "  round(avg(safety), 6) AS mean_safety, round(avg(accuracy), 6) AS mean_accuracy," \
    "  round((avg(relevance) + avg(coherence) + avg(safety) + avg(accuracy)) / 4, 6) AS overall," \
    "  round(avg(satisfaction), 6) AS mean_satisfaction"
#define RANKS(by) \
    "row_number() OVER (PARTITION BY success " by " ORDER BY duration_us) AS place," \
    "  count(*) OVER (PARTITION BY success " by ") AS c"
#define SUMMARY_VIEWS \
    "CREATE VIEW performance_summary AS SELECT" SUMMARY " FROM (SELECT *, " RANKS("") \
    "  FROM (SELECT * FROM request ORDER BY id DESC LIMIT 100)) GROUP BY NULL;" \
    "CREATE VIEW performance_by_model AS SELECT model," SUMMARY " FROM (SELECT *, " RANKS(", model") \
    "  FROM (SELECT r.* FROM request_total m CROSS JOIN request r ON r.id IN" \
    "    (SELECT id FROM request WHERE model IS nullif(m.model, '') ORDER BY id DESC LIMIT 100) WHERE m.day = ''))" \
    "  GROUP BY model ORDER BY model;" \
    "CREATE VIEW quality_summary AS SELECT" SCORES " FROM (SELECT * FROM quality ORDER BY id DESC LIMIT 100)" \
    "  GROUP BY NULL;" \
    "CREATE VIEW quality_by_model AS SELECT model," SCORES " FROM (SELECT q.* FROM quality_total m" \
    "    CROSS JOIN quality q ON q.id IN (SELECT id FROM quality WHERE model IS nullif(m.model, '') ORDER BY id DESC LIMIT 100)" \
    "    WHERE m.day = '') GROUP BY model ORDER BY model;" \
    "CREATE VIEW quality_by_day AS SELECT day, sum(evaluations) AS evaluations," \
    "  round(sum(relevance) / sum(evaluations), 6) AS mean_relevance," \
    "  round(sum(coherence) / sum(evaluations), 6) AS mean_coherence, round(sum(safety) / sum(evaluations), 6) AS mean_safety," \
    "  round(sum(accuracy) / sum(evaluations), 6) AS mean_accuracy," \
    "  round(sum(satisfaction) / nullif(sum(satisfactions), 0), 6) AS mean_satisfaction" \
    "  FROM quality_total WHERE day <> '' GROUP BY day ORDER BY day DESC;" \
    "CREATE VIEW requests_by_day AS SELECT day, sum(requests) AS requests, sum(successful) AS successful," \
    "  round(sum(successful) * 1.0 / sum(requests), 6) AS success_rate, sum(prompt_tokens) AS prompt_tokens," \
    "  sum(generated_tokens) AS generated_tokens, round(sum(duration_us) / 1e6 / sum(requests), 6) AS mean_response_time," \
    "  round(max(memory_bytes) / 1048576.0, 1) AS peak_memory_mb FROM request_total WHERE day <> ''" \
    "  GROUP BY day ORDER BY day DESC;"

#define MONITOR_VIEWS \
    "CREATE VIEW recent_requests AS SELECT id AS request, " UTC("at_ms") " AS started, user, model, operation," \
    "  round(duration_us / 1e6, 3) AS seconds, round(first_token_us / 1e3, 1) AS first_token_ms, prompt_tokens," \
    "  generated_tokens, round(tokens_per_second, 1) AS tokens_per_second," \
    "  round(memory_bytes / 1048576.0, 1) AS memory_mb, round(allocator_bytes / 1048576.0, 1) AS allocator_mb," \
    "  round(gpu_bytes / 1048576.0, 1) AS gpu_mb, input_characters, success, code, error" \
    "  FROM request ORDER BY id DESC LIMIT 100;" \
    /* the limit of 100 requests an hour is the guard's default */ \
    "CREATE VIEW users_last_hour AS SELECT user, count(*) AS requests_last_hour, max(0, 100 - count(*)) AS remaining_of_100," \
    "  " UTC("(min(at_ms) + 3600000)") " AS reset_time FROM request" \
    "  WHERE at_ms > CAST(strftime('%s', 'now') AS INTEGER) * 1000 - 3600000 AND code IS NOT 'RATE_LIMIT_EXCEEDED'" \
    "  GROUP BY user ORDER BY requests_last_hour DESC, user;" \
    "CREATE VIEW recent_alerts AS SELECT " UTC("at_ms") " AS at, model, type, severity, metric, value, threshold," \
    "  is_over, message FROM alert ORDER BY id DESC LIMIT 100;" \
    "CREATE VIEW open_alerts AS SELECT " UTC("at_ms") " AS since, model, type, severity, metric, value, threshold, message" \
    "  FROM alert WHERE id IN (SELECT max(id) FROM alert GROUP BY model, type, metric) AND is_over = 0 ORDER BY id DESC;" \
    "CREATE VIEW recent_health AS SELECT " UTC("at_ms") " AS at, status, model, model_loaded, multimodal," \
    "  round(response_us / 1e6, 3) AS response_time, round(memory_bytes / 1048576.0, 1) AS memory_mb, errors" \
    "  FROM health ORDER BY id DESC LIMIT 100;" \
    "CREATE VIEW guard_decisions AS SELECT " UTC("d.at_ms") " AS at, d.request, r.user, r.model, r.input_hash, d.kind," \
    "  d.outcome, d.rule, d.detail FROM guard_decision d LEFT JOIN request r ON r.id = d.request ORDER BY d.id DESC;" \
    "CREATE VIEW guard_by_day AS SELECT day, name AS decision, n FROM event_total WHERE kind = 'guard'" \
    "  ORDER BY day DESC, n DESC, name;"

#define SECONDS(us) us " / 1e6"
#define OTEL_METRIC(name, unit, metric) \
    "  SELECT '" name "' AS metric, '" unit "' AS unit, model AS \"gen_ai.request.model\", n AS count," \
    "    " SECONDS("1e3 * p50_ms") " AS p50, " SECONDS("1e3 * p95_ms") " AS p95, " SECONDS("1e3 * p99_ms") " AS p99" \
    "  FROM latency_by_model WHERE metric = '" metric "'"
#define OTEL_TOKENS(type, column) \
    "  SELECT 'gen_ai.client.token.usage:" type "', '{token}', model, " column ", NULL, NULL, NULL FROM usage_by_model"
#define OTEL_SCORE(name) \
    "  SELECT span AS \"gen_ai.response.id\", model AS \"gen_ai.request.model\", '" name "' AS \"gen_ai.evaluation.name\"," \
    "    " name " AS \"gen_ai.evaluation.score.value\", user AS \"user.id\", at_ms FROM quality WHERE " name " IS NOT NULL"
#define OTEL_VIEWS \
    "CREATE VIEW otel_requests AS SELECT operation AS \"gen_ai.operation.name\", 'bezel' AS \"gen_ai.provider.name\"," \
    "    model AS \"gen_ai.request.model\", conversation AS \"gen_ai.conversation.id\", span AS \"gen_ai.response.id\"," \
    "    prompt_tokens AS \"gen_ai.usage.input_tokens\", cached_tokens AS \"gen_ai.usage.cache_read.input_tokens\"," \
    "    generated_tokens AS \"gen_ai.usage.output_tokens\"," \
    "    CASE stop_reason WHEN 'eos' THEN '[\"stop\"]' WHEN 'stop' THEN '[\"stop\"]' WHEN 'max_tokens' THEN '[\"length\"]'" \
    "      WHEN 'context' THEN '[\"length\"]' ELSE '[\"' || stop_reason || '\"]' END AS \"gen_ai.response.finish_reasons\"," \
    "    first_token_us / 1e6 AS \"gen_ai.server.time_to_first_token\"," \
    "    (duration_us - first_token_us) / 1e6 / nullif(max(generated_tokens - 1, 0), 0)" \
    "      AS \"gen_ai.server.time_per_output_token\"," \
    "    duration_us / 1e6 AS \"gen_ai.client.operation.duration\", memory_bytes AS \"process.memory.usage\"," \
    "    code AS \"error.type\", user AS \"user.id\", " UTC("at_ms") " AS started FROM request ORDER BY id DESC;" \
    "CREATE VIEW otel_evaluations AS" OTEL_SCORE("relevance") " UNION ALL" OTEL_SCORE("coherence") " UNION ALL" \
    OTEL_SCORE("safety") " UNION ALL" OTEL_SCORE("accuracy") " UNION ALL" OTEL_SCORE("satisfaction") ";"
#define OTEL_METRICS \
    "CREATE VIEW otel_metrics AS" OTEL_METRIC("gen_ai.client.operation.duration", "s", "model_call") \
    " UNION ALL" OTEL_METRIC("gen_ai.server.time_to_first_token", "s", "first_token") \
    " UNION ALL" OTEL_METRIC("gen_ai.server.request.duration", "s", "request") \
    " UNION ALL" OTEL_TOKENS("input", "prompt_tokens") " UNION ALL" OTEL_TOKENS("output", "generated_tokens") \
    " UNION ALL SELECT 'gen_ai.execute_tool.duration', 's', tool, n, 1e-3 * p50_ms, 1e-3 * p95_ms, 1e-3 * p99_ms" \
    "  FROM latency_by_tool;"

/* --- Version 5: what a full file needs ------------------------------------------------------ */

/* Two digits to the nearest of 24 steps a decade (those of the E24 series): a quarter of the rows. */
#define STEP(m) \
    "CASE WHEN " m " < 14 THEN " m " WHEN " m " < 16 THEN 15 WHEN " m " < 17 THEN 16 WHEN " m " < 19 THEN 18" \
    " WHEN " m " < 21 THEN 20 WHEN " m " < 23 THEN 22 WHEN " m " < 26 THEN 24 WHEN " m " < 29 THEN 27 WHEN " m " < 32 THEN 30" \
    " WHEN " m " < 35 THEN 33 WHEN " m " < 38 THEN 36 WHEN " m " < 41 THEN 39 WHEN " m " < 45 THEN 43 WHEN " m " < 49 THEN 47" \
    " WHEN " m " < 54 THEN 51 WHEN " m " < 59 THEN 56 WHEN " m " < 65 THEN 62 WHEN " m " < 72 THEN 68 WHEN " m " < 79 THEN 75" \
    " WHEN " m " < 87 THEN 82 WHEN " m " < 96 THEN 91 ELSE 100 END"
#define OLD_HISTOGRAM(name, day, where) \
    "INSERT INTO histogram SELECT metric, " name ", " day ", iif(value < 10, value, " STEP("digits") " * (value / digits))," \
    "  sum(n) FROM (SELECT *, CAST(substr(value, 1, 2) AS INTEGER) AS digits FROM old_histogram WHERE " where ")" \
    "  GROUP BY 1, 2, 3, 4;"

/* Totals by day first, so that the oldest days are found; histograms by name over the whole time, and by day without names; an
 * index of the requests that have content. The views that read them are made again. */
#define FULL_FILE \
    "DROP VIEW usage_by_day; DROP VIEW usage_by_model; DROP VIEW usage_by_user; DROP VIEW otel_metrics;" \
    "DROP VIEW latency_by_day; DROP VIEW latency_by_model; DROP VIEW latency_by_tool;" \
    "ALTER TABLE usage_total RENAME TO old_total; ALTER TABLE histogram RENAME TO old_histogram;" \
    "CREATE TABLE usage_total(" \
    "  kind TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL, turns INTEGER NOT NULL, model_calls INTEGER NOT NULL," \
    "  prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL," \
    "  dropped_tokens INTEGER NOT NULL, forced_tokens INTEGER NOT NULL, errors INTEGER NOT NULL, duration_us INTEGER NOT NULL," \
    "  first_tokens INTEGER NOT NULL, first_token_us INTEGER NOT NULL, answer_tokens INTEGER NOT NULL," \
    "  answer_us INTEGER NOT NULL, PRIMARY KEY(kind, day, name)) WITHOUT ROWID;" \
    "INSERT INTO usage_total SELECT kind, day, name, turns, model_calls, prompt_tokens, cached_tokens, generated_tokens," \
    "  dropped_tokens, forced_tokens, errors, duration_us, first_tokens, first_token_us, answer_tokens, answer_us" \
    "  FROM old_total;" \
    "CREATE TABLE histogram(" \
    "  metric TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, value INTEGER NOT NULL, n INTEGER NOT NULL," \
    "  PRIMARY KEY(metric, name, day, value)) WITHOUT ROWID;" \
    OLD_HISTOGRAM("name", "''", "day = ''") OLD_HISTOGRAM("''", "day", "day <> ''") \
    "DROP TABLE old_total; DROP TABLE old_histogram; DROP INDEX request_conversation;" \
    "CREATE INDEX request_content ON request(id) WHERE conversation IS NOT NULL;" NAMED_VIEWS \
    "CREATE VIEW latency_by_day AS SELECT day, metric, sum(n) AS n," PERCENTILES \
    LATENCY_ROWS("day", "name = '' AND day >= date('now', '-92 days')") " ORDER BY day DESC, metric;" LATENCY_VIEWS OTEL_METRICS

/* --- Version 6: what other stores have counted ---------------------------------------------- */

/* Which store counted: copies of a file are the same one. kind, name, day and step are the keys of a row of `total`, '' and 0
 * where it has none; counts are its other columns, joined by commas, as far as `source` had come. See store_lines.h. */
#define IMPORTED \
    "CREATE TABLE imported_total(" \
    "  total TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, step INTEGER NOT NULL," \
    "  source TEXT NOT NULL, counts TEXT NOT NULL, PRIMARY KEY(total, kind, name, day, step, source)) WITHOUT ROWID;" \
    "INSERT INTO meta(key, value) VALUES ('source', lower(hex(randomblob(16))));"

const char *const bz_store_steps[] = {
    /* 0 to 1: version 0.1.0 */
    TABLES WORDS USAGE_VIEWS TURN_VIEWS OTEL_VIEW
    "INSERT INTO meta(key, value) VALUES ('created_by', 'Bezel " BEZEL_VERSION_TEXT "');",
    /* 1 to 2: decisions, turns of agents below agents */
    DECISIONS,
    /* 2 to 3: tokens that a constraint left no choice for */
    "ALTER TABLE usage ADD COLUMN forced_tokens INTEGER NOT NULL DEFAULT 0;",
    /* 3 to 4: rows of a monitor, windows of a guard, totals that stay when rows go */
    MONITOR TOTALS OLD_ROWS MORE_INDICES TOTAL_VIEWS FIRST_LATENCY_VIEW LATENCY_VIEWS SUMMARY_VIEWS MONITOR_VIEWS
        OTEL_VIEWS OTEL_METRICS,
    /* 4 to 5: totals by day first, smaller histograms, requests with content */
    FULL_FILE,
    /* 5 to 6: which store counted, for files that are exchanged */
    IMPORTED,
};
const int bz_store_version = (int)(sizeof bz_store_steps / sizeof bz_store_steps[0]);

/* ORDER as a reader wants them; every view of the schema is here. */
static const char *const view_names[] = {
    "usage_by_day",        "usage_by_model",      "usage_by_user",   "usage_by_tool",     "users_last_hour",
    "latency_by_day",      "latency_by_model",    "latency_by_tool", "recent_turns",      "slowest_turns",
    "recent_errors",       "errors_by_code",      "errors_by_tool",  "requests_by_day",   "recent_requests",
    "performance_summary", "performance_by_model", "quality_summary", "quality_by_model", "quality_by_day",
    "open_alerts",         "recent_alerts",       "recent_health",   "guard_by_day",      "guard_decisions",
    "conversation_text",   "decisions",           "usage_by_root",   "otel_genai",        "otel_requests",
    "otel_evaluations",    "otel_metrics",        NULL,
};

const char *const *bezel_store_views(void)
{
    return view_names;
}
