/* SPDX-License-Identifier: MIT */
/* bezel report: the store as one page of HTML. */
#include "command.h"

#include <stdio.h>

int cmd_report(int argc, char **argv) {
    cmd_options o = {.subcommand = "report", .usage = "report --html FILE [--days N] [--conversations N] [--store FILE]"};
    cmd_host host = {0};
    bezel_store_report_options options;
    int status = cmd_options_read(&o, argc, argv, "html days conversations store quiet");
    if (status != CMD_OK) return status;
    if (!o.html || o.n_positional) return cmd_usage(&o, "--html FILE says where the page goes");
    bezel_store_report_options_init(&options);
    options.days = (uint32_t)o.days;
    options.conversations = (uint32_t)o.conversations;
    if ((status = cmd_host_engine(&host, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_store(&host, &o)) != CMD_OK) goto done;
    if (bezel_store_report(host.store, o.html, &options, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else if (!o.quiet)
        fprintf(stderr, "%s is there; open it in a browser\n", o.html);
done:
    cmd_host_free(&host);
    return status;
}
