/* SPDX-License-Identifier: MIT */
/* The texts of all statements that are prepared once and kept: every change of rows is one of them. Invariant: the order of
 * the enum in store_impl.h is the order here. */
#include "store_impl.h"

/* Times as people and programs read them. */
#define UTC(ms) "strftime('%Y-%m-%dT%H:%M:%fZ', " ms " / 1000.0, 'unixepoch')"
#define DAY(ms) "date(" ms " / 1000, 'unixepoch')"

const char *const bz_store_statement_texts[BZ_SQL_COUNT] = {
    /* ORDER as the enum in store_impl.h */
    [BZ_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [BZ_SQL_COMMIT] = "COMMIT",
    [BZ_SQL_ROLLBACK] = "ROLLBACK",
    [BZ_SQL_CONVERSATION_ADD] = "INSERT INTO conversation(id, title, user, created_ms, updated_ms)"
                                " VALUES (?1, ?2, ?3, ?4, ?4)",
    [BZ_SQL_CONVERSATION_HAS] = "SELECT 1 FROM conversation WHERE id = ?1",
    [BZ_SQL_CONVERSATION_TOUCH] = "UPDATE conversation SET title = coalesce(title, ?2), model = coalesce(?3, model),"
                                  " updated_ms = max(updated_ms, ?4) WHERE id = ?1",
    [BZ_SQL_CONVERSATION_LIST] =
        "SELECT id, title, user, model, " UTC("created_ms") " AS created, " UTC("updated_ms") " AS updated,"
        " (SELECT count(*) FROM message m JOIN turn t ON t.id = m.turn WHERE m.conversation = c.id AND t.withdrawn = 0)"
        " AS messages,"
        " (SELECT coalesce(sum(prompt_tokens + generated_tokens), 0) FROM usage WHERE conversation = c.id) AS tokens"
        " FROM conversation c ORDER BY updated_ms DESC, id DESC LIMIT ?1 OFFSET ?2",
    [BZ_SQL_CONVERSATION_MESSAGES] =
        "SELECT m.role, m.text, " UTC("t.started_ms") " AS created, m.step"
        " FROM message m JOIN turn t ON t.id = m.turn WHERE m.conversation = ?1 AND t.withdrawn = 0 ORDER BY m.id",
    [BZ_SQL_TURN_ADD] = "INSERT INTO turn(id, conversation, user, model, started_ms, duration_us, status, error,"
                        " withdrawn, span, parent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [BZ_SQL_MESSAGE_ADD] = "INSERT INTO message(turn, conversation, step, role, bytes, text)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [BZ_SQL_MESSAGE_INDEX] = "INSERT INTO message_words(rowid, text) VALUES (?1, ?2)",
    [BZ_SQL_CALL_ADD] = "INSERT INTO tool_call(turn, conversation, step, name, arguments, result, error_code, error,"
                        " repeated, duration_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [BZ_SQL_DECISION_ADD] = "INSERT INTO decision(turn, conversation, step, call, at_us, kind, outcome, name, detail)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [BZ_SQL_USAGE_ADD] = "INSERT INTO usage(turn, conversation, user, model, step, started_ms, prompt_tokens,"
                         " cached_tokens, generated_tokens, dropped_tokens, first_token_us, duration_us,"
                         " tokens_per_second, stop_reason, error, forced_tokens)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [BZ_SQL_SEARCH_WORDS] =
        "SELECT m.conversation, c.title, m.role, snippet(message_words, 0, '[', ']', '…', 16) AS snippet,"
        " " UTC("t.started_ms") " AS created FROM message_words JOIN message m ON m.id = message_words.rowid"
        " JOIN conversation c ON c.id = m.conversation JOIN turn t ON t.id = m.turn"
        " WHERE message_words MATCH ?1 ORDER BY message_words.rank, m.id DESC LIMIT ?2",
    [BZ_SQL_SEARCH_PART] =
        "SELECT m.conversation, c.title, m.role,"
        " CASE WHEN instr(m.text, ?1) > 40 THEN '…' ELSE '' END ||"
        " substr(m.text, max(1, instr(m.text, ?1) - 40), instr(m.text, ?1) - max(1, instr(m.text, ?1) - 40)) ||"
        " '[' || ?1 || ']' || substr(m.text, instr(m.text, ?1) + length(?1), 60) AS snippet,"
        " " UTC("t.started_ms") " AS created FROM message m JOIN conversation c ON c.id = m.conversation"
        " JOIN turn t ON t.id = m.turn WHERE instr(m.text, ?1) > 0 ORDER BY m.id DESC LIMIT ?2",
    [BZ_SQL_DELETE_INDEX] = "INSERT INTO message_words(message_words, rowid, text)"
                            " SELECT 'delete', id, text FROM message WHERE conversation = ?1 AND text IS NOT NULL",
    [BZ_SQL_DELETE_MESSAGES] = "DELETE FROM message WHERE conversation = ?1",
    [BZ_SQL_DELETE_CALLS] = "DELETE FROM tool_call WHERE conversation = ?1",
    [BZ_SQL_DELETE_DECISIONS] = "DELETE FROM decision WHERE conversation = ?1",
    /* the sentence of an error may quote content; that there was one stays, and its code is in usage */
    [BZ_SQL_DELETE_FROM_TURNS] = "UPDATE turn SET conversation = NULL,"
                                 " error = CASE WHEN error IS NOT NULL THEN 'deleted' END WHERE conversation = ?1",
    [BZ_SQL_DELETE_FROM_USAGE] = "UPDATE usage SET conversation = NULL WHERE conversation = ?1",
    [BZ_SQL_DELETE_DETAILS] = "UPDATE guard_decision SET detail = NULL WHERE request IN"
                              " (SELECT id FROM request WHERE conversation = ?1)",
    [BZ_SQL_DELETE_FROM_REQUESTS] = "UPDATE request SET conversation = NULL,"
                                    " error = CASE WHEN error IS NOT NULL THEN 'deleted' END WHERE conversation = ?1",
    [BZ_SQL_DELETE_CONVERSATION] = "DELETE FROM conversation WHERE id = ?1",
    /* a deleted word stays in older parts of the index until they are merged */
    [BZ_SQL_DELETE_MERGE] = "INSERT INTO message_words(message_words) VALUES ('optimize')",
    /* A row of numbers counts four or five times: all, its model and its user, on its day and (but for all) as a whole. */
    [BZ_SQL_TOTAL_USAGE] =
        "INSERT INTO usage_total(kind, day, name, turns, model_calls, prompt_tokens, cached_tokens, generated_tokens,"
        " dropped_tokens, forced_tokens, errors, duration_us, first_tokens, first_token_us, answer_tokens, answer_us)"
        " SELECT column1, column2, column3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?7 > 0, iif(?7 > 0, ?12, 0), max(?7 - 1, 0),"
        " iif(?7 > 1, ?11 - ?12, 0) FROM (VALUES ('all', " DAY("?3") ", ''), ('model', " DAY("?3") ", ?1), ('model', '', ?1),"
        " ('user', " DAY("?3") ", ?2), ('user', '', ?2)) WHERE 1 ON CONFLICT DO UPDATE SET turns = turns + excluded.turns,"
        " model_calls = model_calls + 1, prompt_tokens = prompt_tokens + excluded.prompt_tokens,"
        " cached_tokens = cached_tokens + excluded.cached_tokens,"
        " generated_tokens = generated_tokens + excluded.generated_tokens,"
        " dropped_tokens = dropped_tokens + excluded.dropped_tokens, forced_tokens = forced_tokens + excluded.forced_tokens,"
        " errors = errors + excluded.errors, duration_us = duration_us + excluded.duration_us,"
        " first_tokens = first_tokens + excluded.first_tokens, first_token_us = first_token_us + excluded.first_token_us,"
        " answer_tokens = answer_tokens + excluded.answer_tokens, answer_us = answer_us + excluded.answer_us",
    [BZ_SQL_TOTAL_TOOL] =
        "INSERT INTO tool_total(name, day, calls, repeated, failed, timed, duration_us, slowest_us, last_ms)"
        " SELECT ?1, column1, 1, ?3, ?4, ?5 > 0, ?5, ?5, ?2 FROM (VALUES (" DAY("?2") "), ('')) WHERE 1"
        " ON CONFLICT DO UPDATE SET calls = calls + 1, repeated = repeated + excluded.repeated,"
        " failed = failed + excluded.failed,"
        " timed = timed + excluded.timed, duration_us = duration_us + excluded.duration_us,"
        " slowest_us = max(slowest_us, excluded.slowest_us), last_ms = max(last_ms, excluded.last_ms)",
    [BZ_SQL_TOTAL_EVENT] = "INSERT INTO event_total(kind, name, day, n) VALUES (?1, ?2, " DAY("?3") ", 1)"
                           " ON CONFLICT DO UPDATE SET n = n + 1",
    [BZ_SQL_TOTAL_TIME] = "INSERT INTO histogram(metric, name, day, value, n) SELECT ?1, column1, column2, ?4, 1"
                          " FROM (VALUES ('', " DAY("?3") "), (?2, '')) WHERE 1 ON CONFLICT DO UPDATE SET n = n + 1",
    [BZ_SQL_TOTAL_REQUEST] =
        "INSERT INTO request_total(model, day, requests, successful, prompt_tokens, generated_tokens, duration_us, memory_bytes)"
        " SELECT ?1, column1, 1, ?3, ?4, ?5, ?6, ?7 FROM (VALUES (" DAY("?2") "), ('')) WHERE 1 ON CONFLICT DO UPDATE SET"
        " requests = requests + 1, successful = successful + excluded.successful, prompt_tokens = prompt_tokens +"
        " excluded.prompt_tokens, generated_tokens = generated_tokens + excluded.generated_tokens,"
        " duration_us = duration_us + excluded.duration_us,"
        " memory_bytes = max(memory_bytes, excluded.memory_bytes)",
    [BZ_SQL_TOTAL_QUALITY] =
        "INSERT INTO quality_total(model, day, evaluations, relevance, coherence, safety, accuracy, satisfactions, satisfaction)"
        " SELECT ?1, column1, 1, ?3, ?4, ?5, ?6, ?7, ?8 FROM (VALUES (" DAY("?2") "), ('')) WHERE 1 ON CONFLICT DO UPDATE SET"
        " evaluations = evaluations + 1, relevance = relevance + excluded.relevance, coherence = coherence + excluded.coherence,"
        " safety = safety + excluded.safety, accuracy = accuracy + excluded.accuracy,"
        " satisfactions = satisfactions + excluded.satisfactions, satisfaction = satisfaction + excluded.satisfaction",
    [BZ_SQL_REQUEST_ADD] =
        "INSERT INTO request(at_ms, span, conversation, user, model, operation, success, code, error, stop_reason, input_hash,"
        " input_characters, prompt_tokens, cached_tokens, generated_tokens, first_token_us, duration_us, tokens_per_second,"
        " memory_bytes, allocator_bytes, gpu_bytes)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
    [BZ_SQL_GUARD_ADD] = "INSERT INTO guard_decision(request, at_ms, kind, outcome, rule, detail)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [BZ_SQL_QUALITY_ADD] = "INSERT INTO quality(at_ms, span, user, model, relevance, coherence, safety, accuracy, has_reference,"
                           " satisfaction) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [BZ_SQL_ALERT_ADD] = "INSERT INTO alert(at_ms, model, type, severity, metric, value, threshold, is_over, message)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [BZ_SQL_HEALTH_ADD] = "INSERT INTO health(at_ms, status, model, model_loaded, multimodal, response_us, memory_bytes, errors)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [BZ_SQL_WINDOW_READ] = "SELECT state FROM rate_window WHERE key = ?1",
    /* never before the newest: a clock that went back must not make the users of now the oldest */
    [BZ_SQL_WINDOW_WRITE] = "INSERT INTO rate_window(key, state, used_minute)"
                            " VALUES (?1, ?2, max(?3, coalesce((SELECT max(used_minute) FROM rate_window), 0)))"
                            " ON CONFLICT DO UPDATE SET state = excluded.state, used_minute = excluded.used_minute",
    [BZ_SQL_WINDOW_COUNT] = "INSERT INTO meta(key, value) VALUES ('rate_windows', ?1)"
                            " ON CONFLICT DO UPDATE SET value = value + excluded.value",
    [BZ_SQL_WINDOW_FORGET] = "DELETE FROM rate_window WHERE key IN (SELECT key FROM rate_window ORDER BY used_minute LIMIT ?1)",
    [BZ_SQL_META_READ] = "SELECT value FROM meta WHERE key = ?1",
    [BZ_SQL_META_WRITE] = "INSERT INTO meta(key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
    [BZ_SQL_TIDY_CONTENT_TURNS] = "SELECT id FROM turn WHERE conversation IS NOT NULL AND id < ?1 ORDER BY id LIMIT ?2",
    [BZ_SQL_TIDY_ALL_TURNS] = "SELECT id FROM turn WHERE id < ?1 ORDER BY id LIMIT ?2",
    [BZ_SQL_TIDY_INDEX] = "INSERT INTO message_words(message_words, rowid, text)"
                          " SELECT 'delete', id, text FROM message WHERE turn = ?1 AND text IS NOT NULL",
    [BZ_SQL_TIDY_MESSAGES] = "DELETE FROM message WHERE turn = ?1",
    [BZ_SQL_TIDY_CALLS] = "UPDATE tool_call SET conversation = NULL, arguments = NULL, result = NULL,"
                          " error = CASE WHEN error IS NOT NULL THEN 'deleted' END WHERE turn = ?1",
    [BZ_SQL_TIDY_DECISIONS] = "UPDATE decision SET conversation = NULL, detail = NULL WHERE turn = ?1",
    [BZ_SQL_TIDY_USAGE] = "UPDATE usage SET conversation = NULL WHERE turn = ?1",
    [BZ_SQL_TIDY_TURN] = "UPDATE turn SET conversation = NULL,"
                         " error = CASE WHEN error IS NOT NULL THEN 'deleted' END WHERE id = ?1",
    [BZ_SQL_TIDY_MERGE] = "INSERT INTO message_words(message_words, rank) VALUES ('merge', -64)",
    [BZ_SQL_TIDY_CONVERSATIONS] = "DELETE FROM conversation WHERE id IN (SELECT id FROM conversation c WHERE updated_ms < ?1"
                                  " AND NOT EXISTS (SELECT 1 FROM turn WHERE conversation = c.id) ORDER BY updated_ms LIMIT 20)",
    [BZ_SQL_TIDY_DETAILS] = "UPDATE guard_decision SET detail = NULL WHERE request IN (SELECT id FROM (SELECT id, at_ms FROM"
                            " request WHERE conversation IS NOT NULL ORDER BY id LIMIT 50) WHERE at_ms < ?1)",
    [BZ_SQL_TIDY_REQUESTS] = "UPDATE request SET conversation = NULL, error = CASE WHEN error IS NOT NULL THEN 'deleted' END"
                             " WHERE id IN (SELECT id FROM (SELECT id, at_ms FROM request WHERE conversation IS NOT NULL"
                             " ORDER BY id LIMIT 50) WHERE at_ms < ?1)",
    [BZ_SQL_TIDY_DROP_CALLS] = "DELETE FROM tool_call WHERE turn = ?1",
    [BZ_SQL_TIDY_DROP_DECISIONS] = "DELETE FROM decision WHERE turn = ?1",
    [BZ_SQL_TIDY_DROP_USAGE] = "DELETE FROM usage WHERE turn = ?1",
    [BZ_SQL_TIDY_DROP_TURN] = "DELETE FROM turn WHERE id = ?1",
    [BZ_SQL_TIDY_DROP_REQUESTS] = "DELETE FROM request WHERE id IN (SELECT id FROM request ORDER BY id LIMIT ?1)",
    [BZ_SQL_TIDY_DROP_QUALITY] = "DELETE FROM quality WHERE id IN (SELECT id FROM quality ORDER BY id LIMIT ?1)",
    [BZ_SQL_TIDY_DROP_GUARD] = "DELETE FROM guard_decision WHERE id IN (SELECT id FROM guard_decision ORDER BY id LIMIT ?1)",
    [BZ_SQL_TIDY_DROP_HEALTH] = "DELETE FROM health WHERE id IN (SELECT id FROM health ORDER BY id LIMIT ?1)",
    [BZ_SQL_TIDY_DROP_USER_DAYS] = "DELETE FROM usage_total WHERE kind = 'user' AND (day, name) IN"
                                   " (SELECT day, name FROM usage_total WHERE kind = 'user' AND day > '' ORDER BY day LIMIT ?1)",
    [BZ_SQL_TIDY_DROP_ALERTS] = "DELETE FROM alert WHERE id IN (SELECT id FROM alert ORDER BY id LIMIT ?1)",
};
