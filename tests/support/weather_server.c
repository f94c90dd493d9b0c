/* SPDX-License-Identifier: MIT */
/* Answers in the shape of Open-Meteo's geocoding and forecast API, from fixed numbers, checked as the real one checks. */
#include "support/http_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Value of a query parameter, as it stands in the URL. */
static int query(char *out, size_t capacity, const char *target, const char *name)
{
    size_t n = strlen(name);
    const char *p = strchr(target, '?');
    while (p && !(strncmp(p + 1, name, n) == 0 && p[1 + n] == '='))
        p = strchr(p + 1, '&');
    if (!p)
        return 0;
    p += n + 2;
    snprintf(out, capacity, "%.*s", (int)strcspn(p, "&"), p);
    return 1;
}

static int refuse(char *out, size_t capacity, const char *reason)
{
    snprintf(out, capacity, "{\"error\":true,\"reason\":\"%s\"}", reason);
    return 400;
}

static int search(char *out, size_t capacity, const char *target)
{
    char name[256];
    if (!query(name, sizeof name, target, "name"))
        return refuse(out, capacity, "Parameter 'name' is required");
    if (strcmp(name, "Breakdown") == 0) {
        snprintf(out, capacity, "{\"error\":true,\"reason\":\"out of order\"}");
        return 503;
    }
    if (strcmp(name, "Nowhere") == 0)
        snprintf(out, capacity, "{\"generationtime_ms\":0.5}");
    else if (strcmp(name, "Babel") == 0)
        snprintf(out, capacity, "<html>not what you asked for</html>");
    else
        snprintf(out, capacity,
                 "{\"results\":[{\"id\":1,\"name\":\"%s\",\"latitude\":59.91273,\"longitude\":10.74609,\"elevation\":26.0,"
                 "\"feature_code\":\"PPLC\",\"country_code\":\"NO\",\"timezone\":\"Europe/Oslo\",\"country\":\"Norway\"}],"
                 "\"generationtime_ms\":0.5}",
                 strcmp(name, "S%C3%A3o%20Paulo") == 0 ? "S\xc3\xa3o Paulo" : "Oslo");
    return 200;
}

typedef struct series {
    char *out;
    size_t capacity, size;
} series;

static void add(series *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(series *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(s->out + s->size, s->capacity - s->size, format, args);
    va_end(args);
    if (n > 0 && s->size + (size_t)n < s->capacity)
        s->size += (size_t)n;
}

static void add_numbers(series *s, const char *name, const double *x, int n, int digits)
{
    add(s, ",\"%s\":[", name);
    for (int i = 0; i < n; i++)
        add(s, "%s%.*f", i ? "," : "", digits, x[i]);
    add(s, "]");
}

/* Day 3 has storm gusts, day 5 much rain, day 6 a thunderstorm. */
static int forecast(char *out, size_t capacity, const char *target)
{
    static const double code[] = {0, 61, 3, 2, 65, 95, 1}, gusts[] = {20, 30, 95, 40, 30, 25, 20};
    static const double rain[] = {0, 2.5, 1, 0, 61, 8, 0};
    double high[7], low[7];
    char value[256], days_text[16] = "7", unit[32] = "celsius";
    series s = {.out = out, .capacity = capacity};
    if (!query(value, sizeof value, target, "latitude") || !query(value, sizeof value, target, "longitude"))
        return refuse(out, capacity, "Parameter 'latitude' and 'longitude' must have the same number of elements");
    if (!query(value, sizeof value, target, "daily") || !strstr(value, "temperature_2m_max"))
        return refuse(out, capacity, "Cannot initialize daily variables");
    if (!query(value, sizeof value, target, "timezone"))
        return refuse(out, capacity, "Timezone is required");
    query(days_text, sizeof days_text, target, "forecast_days");
    query(unit, sizeof unit, target, "temperature_unit");
    int n = atoi(days_text), is_f = strcmp(unit, "fahrenheit") == 0;
    if (n < 1 || n > 16)
        return refuse(out, capacity, "Forecast days is invalid. Allowed range 0 to 16.");
    n = n > 7 ? 7 : n;
    for (int i = 0; i < 7; i++) {
        high[i] = is_f ? (10.0 + i) * 1.8 + 32 : 10.0 + i;
        low[i] = is_f ? (2.0 + i) * 1.8 + 32 : 2.0 + i;
    }
    add(&s, "{\"latitude\":59.9,\"longitude\":10.75,\"generationtime_ms\":0.1,\"utc_offset_seconds\":3600,"
            "\"timezone\":\"Europe/Oslo\",\"daily_units\":{\"time\":\"iso8601\"},\"daily\":{\"time\":[");
    for (int i = 0; i < n; i++)
        add(&s, "%s\"2026-12-%02d\"", i ? "," : "", 7 + i);
    add(&s, "]");
    add_numbers(&s, "weather_code", code, n, 0);
    add_numbers(&s, "temperature_2m_max", high, n, 1);
    add_numbers(&s, "temperature_2m_min", low, n, 1);
    add_numbers(&s, "precipitation_sum", rain, n, 1);
    add_numbers(&s, "wind_gusts_10m_max", gusts, n, 1);
    add(&s, "}}");
    return 200;
}

int weather_answer(char *out, size_t capacity, const char *target)
{
    if (strncmp(target, "/v1/search?", 11) == 0)
        return search(out, capacity, target);
    if (strncmp(target, "/v1/forecast?", 13) == 0)
        return forecast(out, capacity, target);
    return refuse(out, capacity, "Not Found");
}
