/* SPDX-License-Identifier: MIT */
/* What ask and chat share: an agent made from options, and a turn shown as it comes. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURN_SLICE_US 50000 /* between two looks at Ctrl-C */

int cmd_talk_agent(bezel_agent **out, cmd_host *host, const cmd_options *o, const bezel_toolset *tools,
                   const char *conversation) {
    bezel_agent_options a;
    bezel_agent_options_init(&a);
    a.system = o->system;
    a.context = o->context;
    a.tools = tools;
    a.user = o->user;
    a.conversation = conversation;
    a.journal = host->store ? bezel_store_journal(host->store) : NULL;
    a.tool_choice = o->tool_choice;
    if (o->constrain) {
        if (strcmp(o->constrain, "on") != 0 && strcmp(o->constrain, "off") != 0)
            return cmd_usage(o, "--constrain %s: on or off expected", o->constrain);
        a.constrain = strcmp(o->constrain, "on") == 0;
    }
    if (o->max_steps) a.max_steps = (uint32_t)o->max_steps;
    if (cmd_profile(&a.profile, o) != CMD_OK) return CMD_USAGE;
    if (o->overflow && strcmp(o->overflow, "error") == 0)
        a.overflow = BEZEL_OVERFLOW_ERROR;
    else if (o->overflow && strcmp(o->overflow, "drop_oldest") != 0)
        return cmd_usage(o, "--overflow %s: drop_oldest or error expected", o->overflow);
    bezel_permit rules[CMD_MAX_RULES];
    char names[CMD_RULE_BYTES];
    int status = cmd_permit_options(&a, o, rules, names);
    if (status == CMD_OK) status = cmd_session_options(&a.session, o);
    if (status != CMD_OK) return status;
    cmd_generate_options(&a.generate, o);
    a.fit = !o->no_fit;
    a.evidence = !o->no_evidence;
    a.generate.call_bias = (float)o->call_bias;
    if (!a.profile && o->adapter && bezel_profile_of(host->model)->label_guard)
        a.profile = bezel_profile_find("gemma3"); /* what `bezel teach` teaches a pretrained model */
    if (bezel_agent_new(out, host->model, &a, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    return cmd_adapt(host, bezel_agent_session(*out), o, &host->error) == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

int cmd_talk_resume(bezel_agent *agent, cmd_host *host, const char *conversation) {
    bezel_tree *tree;
    bezel_value *list = NULL;
    int status = CMD_OK;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    if (bezel_store_messages(&list, tree, host->store, conversation, &host->error) != BEZEL_OK) {
        bezel_tree_free(tree);
        return cmd_host_fail(host);
    }
    for (size_t i = 0; status == CMD_OK && i < bezel_value_count(list); i++) {
        const bezel_value *item = bezel_value_at(list, i);
        bezel_message m = {.size = sizeof m};
        m.role = bezel_role_from_name(bezel_value_text(bezel_value_get(item, "role"), NULL));
        m.text = bezel_value_text(bezel_value_get(item, "text"), &m.text_size);
        if (bezel_value_type(bezel_value_get(item, "text")) != BEZEL_TEXT)
            status = cmd_error("conversation %s was stored without its texts and cannot be resumed", conversation);
        else if (bezel_agent_append(agent, &m, 1, &host->error) != BEZEL_OK) status = cmd_host_fail(host);
    }
    bezel_tree_free(tree);
    return status;
}

static void show_value(cmd_host *host, const char *before, const char *name, const bezel_value *value, const char *text) {
    char *json = NULL;
    size_t size = 0;
    const char *dim = cmd_is_terminal(STDERR_FILENO) ? "\033[2m" : "", *plain = *dim ? "\033[0m" : "";
    if (value && bezel_json_write(&json, &size, host->engine, value, 0, NULL) != BEZEL_OK) json = NULL;
    fflush(stdout);
    fprintf(stderr, "%s%s %s %s%s\n", dim, before, name ? name : "", json ? json : text ? text : "", plain);
    bezel_text_free(host->engine, json);
}

static void show_event(cmd_host *host, const bezel_agent_event *event) {
    switch (event->type) {
    case BEZEL_AGENT_TEXT:
        cmd_write_text(event->text, event->text_size);
        fflush(stdout);
        break;
    case BEZEL_AGENT_ASK: break; /* cmd_permit has asked */
    case BEZEL_AGENT_CALL: show_value(host, "\xE2\x86\x92", event->name, event->arguments, NULL); break;
    case BEZEL_AGENT_RESULT: show_value(host, "\xE2\x86\x90", event->name, event->result, event->text); break;
    default: show_value(host, "!", event->name, NULL, event->text); break;
    }
}

bezel_status cmd_talk_turn(cmd_host *host, bezel_agent *agent, const char *text, size_t size, int show) {
    bezel_status st = bezel_agent_send(agent, text, size, &host->error);
    bezel_agent_event event = {.size = sizeof event};
    if (st != BEZEL_OK) return st;
    do {
        if (cmd_interrupted()) bezel_agent_cancel(agent);
        st = bezel_agent_step(agent, TURN_SLICE_US, &host->error);
        while (bezel_agent_event_next(agent, &event))
            if (show) show_event(host, &event);
        if (st == BEZEL_TOOL_PENDING) bezel_agent_wait(agent, TURN_SLICE_US);
    } while (st > 0 && st != BEZEL_DONE);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}
