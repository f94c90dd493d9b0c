/* SPDX-License-Identifier: MIT */
/* bezel info: what a model file is, for people or as JSON. */
#include "command.h"

#include <stdio.h>

static void print_value(const bezel_value *value, int indent);

static void print_scalar(const bezel_value *value) {
    size_t size;
    const char *text;
    switch (bezel_value_type(value)) {
    case BEZEL_BOOL: printf("%s\n", bezel_value_bool(value) ? "yes" : "no"); break;
    case BEZEL_INTEGER: printf("%lld\n", (long long)bezel_value_integer(value)); break;
    case BEZEL_NUMBER: printf("%g\n", bezel_value_number(value)); break;
    case BEZEL_TEXT:
        text = bezel_value_text(value, &size);
        cmd_write_text(text, size);
        putchar('\n');
        break;
    default: printf("-\n");
    }
}

static void print_value(const bezel_value *value, int indent) {
    int is_map = bezel_value_type(value) == BEZEL_MAP;
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        const bezel_value *item = bezel_value_at(value, i);
        size_t key_size = 0;
        const char *key = is_map ? bezel_value_key(value, i, &key_size) : "-";
        printf("%*s%-*s", indent, "", 26 - indent, key);
        if (bezel_value_type(item) == BEZEL_MAP || bezel_value_type(item) == BEZEL_LIST) {
            printf("\n");
            print_value(item, indent + 2);
        } else {
            print_scalar(item);
        }
    }
}

int cmd_info(int argc, char **argv) {
    cmd_options o = {.subcommand = "info", .usage = "info [--json] [--check] [--model FILE]"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    bezel_value *value = NULL;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " json check");
    if (status != CMD_OK) return status;
    if (o.n_positional == 1 && !o.model) o.model = o.positional[0];
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK ||
        bezel_model_describe(&value, tree, host.model, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else if (o.json)
        status = cmd_print_json(&host, value);
    else
        print_value(value, 0);
done:
    bezel_tree_free(tree);
    cmd_host_free(&host);
    return status;
}
