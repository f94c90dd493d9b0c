/* SPDX-License-Identifier: MIT */
/* Requests of users in a sliding window, exact to the millisecond of the monotonic clock. Invariant: a request is allowed when
 * fewer than max_requests allowed ones are younger than the window.
 *
 * In memory: users found by a keyed 128-bit hash of their id in an open table; the times of each in a chain of blocks, oldest
 * first; all users in a list by their last request. When the bytes are used up, the user at the end of that list goes. Where
 * windows live elsewhere, their state is read, changed and written in one transaction of the host. */
#include "guard_impl.h"

#include "base/alloc.h"
#include "base/options.h"

#include <sodium.h>
#include <string.h>

#define NONE UINT32_MAX

enum { BLOCK_TIMES = 6, KEY_BYTES = 16 };

typedef struct rate_block {
    uint32_t times[BLOCK_TIMES]; /* ms since base_ms */
    uint32_t next;               /* block, or NONE */
} rate_block;

typedef struct rate_user {
    uint8_t key[KEY_BYTES];
    uint32_t newer, older; /* users, or NONE; older is the chain of free ones, too */
    uint32_t first, last;  /* blocks, NONE when count is 0 */
    uint32_t count;
    uint8_t begin, end;    /* of the times in the first block, behind those in the last */
} rate_user;

struct bz_rate_table {
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
    int64_t base_ms;
    rate_user *users;
    rate_block *blocks;
    uint32_t *slots; /* [n_slots] a power of two: user + 1, or 0 */
    uint32_t n_users, max_users, free_user, newest, oldest, used_users;
    uint32_t n_blocks, max_blocks, free_block;
    uint32_t n_slots;
    uint64_t n_forgotten;
};

static int64_t rate_now_ms(const bezel_guard *g)
{
    return g->world->monotonic_ns(g->world->ud) / 1000000;
}

void bz_rate_free(bz_rate_table *t, const bezel_world *w)
{
    if (t == NULL)
        return;
    bz_free(w, t->users);
    bz_free(w, t->blocks);
    bz_free(w, t->slots);
    bz_free(w, t);
}

static bezel_status rate_open(bezel_guard *g, bezel_error *err)
{
    bz_rate_table *t = bz_zalloc(g->world, sizeof *t);
    if (t == NULL)
        return bz_fail_memory(err, "guard", "the windows", sizeof *t);
    if (g->world->random(g->world->ud, t->secret, sizeof t->secret) != BEZEL_OK) {
        bz_free(g->world, t);
        return bz_fail(err, BEZEL_ERR_IO, "guard", "there are no random bytes");
    }
    t->free_user = t->newest = t->oldest = t->free_block = NONE;
    t->base_ms = rate_now_ms(g);
    g->rates = t;
    return BEZEL_OK;
}

static uint64_t rate_bytes(const bz_rate_table *t)
{
    return sizeof *t + (uint64_t)t->max_users * sizeof *t->users + (uint64_t)t->max_blocks * sizeof *t->blocks +
           (uint64_t)t->n_slots * sizeof *t->slots;
}

/* --- Finding users -------------------------------------------------------------------------- */

static uint32_t key_slot(const bz_rate_table *t, const uint8_t key[KEY_BYTES])
{
    uint32_t h;
    memcpy(&h, key, sizeof h);
    return h & (t->n_slots - 1);
}

/* The slot of a key, or the free one where it would be; there is always a free one. */
static uint32_t slot_of(const bz_rate_table *t, const uint8_t key[KEY_BYTES])
{
    uint32_t s = key_slot(t, key);
    while (t->slots[s] && memcmp(t->users[t->slots[s] - 1].key, key, KEY_BYTES) != 0)
        s = (s + 1) & (t->n_slots - 1);
    return s;
}

/* Empties a slot and moves up what stood behind it for want of that place. */
static void slot_clear(bz_rate_table *t, uint32_t hole)
{
    const uint32_t mask = t->n_slots - 1;
    t->slots[hole] = 0;
    for (uint32_t s = (hole + 1) & mask; t->slots[s]; s = (s + 1) & mask) {
        const uint32_t home = key_slot(t, t->users[t->slots[s] - 1].key);
        if (((s - home) & mask) >= ((s - hole) & mask)) {
            t->slots[hole] = t->slots[s];
            t->slots[s] = 0;
            hole = s;
        }
    }
}

/* --- Lists ---------------------------------------------------------------------------------- */

static void list_remove(bz_rate_table *t, uint32_t u)
{
    const rate_user *user = &t->users[u];
    if (user->newer == NONE)
        t->newest = user->older;
    else
        t->users[user->newer].older = user->older;
    if (user->older == NONE)
        t->oldest = user->newer;
    else
        t->users[user->older].newer = user->newer;
}

static void list_front(bz_rate_table *t, uint32_t u)
{
    t->users[u].newer = NONE;
    t->users[u].older = t->newest;
    if (t->newest != NONE)
        t->users[t->newest].newer = u;
    t->newest = u;
    if (t->oldest == NONE)
        t->oldest = u;
}

static void times_drop_oldest(bz_rate_table *t, rate_user *user)
{
    const uint32_t block = user->first;
    user->count--;
    if (++user->begin < BLOCK_TIMES && user->count)
        return;
    user->first = t->blocks[block].next;
    user->begin = 0;
    t->blocks[block].next = t->free_block;
    t->free_block = block;
    if (user->count == 0)
        user->first = user->last = NONE;
}

static uint32_t times_oldest(const bz_rate_table *t, const rate_user *user)
{
    return t->blocks[user->first].times[user->begin];
}

static uint32_t times_newest(const bz_rate_table *t, const rate_user *user)
{
    return t->blocks[user->last].times[user->end - 1];
}

static void user_forget(bz_rate_table *t, uint32_t u)
{
    rate_user *user = &t->users[u];
    while (user->count)
        times_drop_oldest(t, user);
    slot_clear(t, slot_of(t, user->key));
    list_remove(t, u);
    user->older = t->free_user;
    t->free_user = u;
    t->used_users--;
}

/* --- Room ----------------------------------------------------------------------------------- */

/* Capacity after one more growth, as far as the bytes allow: 0 when they do not. */
static uint32_t room_more(const bezel_guard *g, uint32_t now, size_t each, uint64_t besides)
{
    const uint64_t used = rate_bytes(g->rates), most = g->options.max_window_bytes, free_bytes = most > used ? most - used : 0;
    uint64_t more = now / 2 + 64;
    const uint64_t fit = free_bytes > besides ? (free_bytes - besides) / each : 0;
    if (more > fit)
        more = fit;
    if (more + now >= NONE)
        more = 0;
    return more ? (uint32_t)(now + more) : 0;
}

static bezel_status room_slots(bezel_guard *g, uint32_t n_users, bezel_error *err)
{
    bz_rate_table *t = g->rates;
    uint32_t n = t->n_slots ? t->n_slots : 128;
    while (n / 4 * 3 < n_users)
        n *= 2;
    if (n == t->n_slots)
        return BEZEL_OK;
    uint32_t *slots = bz_zalloc_array(g->world, n, sizeof *slots), *old = t->slots;
    if (slots == NULL)
        return bz_fail_memory(err, "guard", "the windows", n * sizeof *slots);
    t->slots = slots;
    t->n_slots = n;
    for (uint32_t u = t->newest; u != NONE; u = t->users[u].older)
        t->slots[slot_of(t, t->users[u].key)] = u + 1;
    bz_free(g->world, old);
    return BEZEL_OK;
}

/* Frees the user who has not asked for longest, but not `keep`: for good when its window is over, else it is forgotten. */
static int room_take(bezel_guard *g, uint32_t keep, uint32_t now)
{
    bz_rate_table *t = g->rates;
    const uint32_t u = t->oldest;
    if (u == NONE || u == keep)
        return 0;
    const rate_user *user = &t->users[u];
    if (user->count && now - times_newest(t, user) < g->options.window_s * 1000u)
        t->n_forgotten++;
    user_forget(t, u);
    return 1;
}

static int oldest_is_over(const bezel_guard *g, uint32_t now)
{
    const bz_rate_table *t = g->rates;
    if (t->oldest == NONE)
        return 0;
    const rate_user *user = &t->users[t->oldest];
    return user->count == 0 || (uint64_t)(now - times_newest(t, user)) >= (uint64_t)g->options.window_s * 1000;
}

/* A free user in *out. */
static bezel_status room_user(bezel_guard *g, uint32_t *out, uint32_t now, bezel_error *err)
{
    bz_rate_table *t = g->rates;
    if (t->free_user == NONE && t->n_users == t->max_users && !(oldest_is_over(g, now) && room_take(g, NONE, now))) {
        const uint64_t slots = 2 * sizeof *t->slots * (uint64_t)t->n_slots; /* the table may double */
        const uint32_t more = room_more(g, t->max_users, sizeof *t->users, slots);
        if (more) {
            bezel_status st = room_slots(g, more, err);
            rate_user *users = st == BEZEL_OK ? bz_realloc(g->world, t->users, more * sizeof *users) : NULL;
            if (users == NULL)
                return st != BEZEL_OK ? st : bz_fail_memory(err, "guard", "the windows", more * sizeof *users);
            t->users = users;
            t->max_users = more;
        } else if (!room_take(g, NONE, now)) {
            return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "max_window_bytes has no room for a user");
        }
    }
    if (t->free_user != NONE) {
        *out = t->free_user;
        t->free_user = t->users[*out].older;
    } else {
        *out = t->n_users++;
    }
    t->used_users++;
    return BEZEL_OK;
}

static bezel_status room_block(bezel_guard *g, uint32_t *out, uint32_t user, uint32_t now, bezel_error *err)
{
    bz_rate_table *t = g->rates;
    while (t->free_block == NONE && t->n_blocks == t->max_blocks) {
        if (oldest_is_over(g, now) && room_take(g, user, now))
            continue;
        const uint32_t more = room_more(g, t->max_blocks, sizeof *t->blocks, 0);
        if (more) {
            rate_block *blocks = bz_realloc(g->world, t->blocks, more * sizeof *blocks);
            if (blocks == NULL)
                return bz_fail_memory(err, "guard", "the windows", more * sizeof *blocks);
            t->blocks = blocks;
            t->max_blocks = more;
        } else if (!room_take(g, user, now)) {
            return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "max_window_bytes has no room for the requests of a user");
        }
    }
    if (t->free_block != NONE) {
        *out = t->free_block;
        t->free_block = t->blocks[*out].next;
    } else {
        *out = t->n_blocks++;
    }
    t->blocks[*out].next = NONE;
    return BEZEL_OK;
}

static bezel_status times_add(bezel_guard *g, uint32_t u, uint32_t now, bezel_error *err)
{
    bz_rate_table *t = g->rates;
    if (t->users[u].count == 0 || t->users[u].end == BLOCK_TIMES) {
        uint32_t block = NONE;
        bezel_status st = room_block(g, &block, u, now, err);
        if (st != BEZEL_OK)
            return st;
        rate_user *user = &t->users[u];
        if (user->count == 0) {
            user->first = block;
            user->begin = 0;
        } else {
            t->blocks[user->last].next = block;
        }
        user->last = block;
        user->end = 0;
    }
    rate_user *user = &t->users[u];
    t->blocks[user->last].times[user->end++] = now;
    user->count++;
    return BEZEL_OK;
}

/* Times are 32 bits; before they end the base moves to what is young enough to count. */
static uint32_t rate_now(bezel_guard *g)
{
    bz_rate_table *t = g->rates;
    const int64_t now = rate_now_ms(g), window = (int64_t)g->options.window_s * 1000;
    if (now - t->base_ms < (int64_t)UINT32_MAX - 1000)
        return (uint32_t)(now - t->base_ms);
    const int64_t base = now - window;
    for (uint32_t u = t->newest; u != NONE; u = t->users[u].older) {
        rate_user *user = &t->users[u];
        while (user->count && t->base_ms + times_oldest(t, user) <= base)
            times_drop_oldest(t, user);
        uint32_t block = user->first, begin = user->begin;
        for (uint32_t i = 0; i < user->count; i++) {
            t->blocks[block].times[begin] = (uint32_t)(t->base_ms + t->blocks[block].times[begin] - base);
            if (++begin == BLOCK_TIMES) {
                block = t->blocks[block].next;
                begin = 0;
            }
        }
    }
    t->base_ms = base;
    return (uint32_t)(now - base);
}

/* --- In memory ------------------------------------------------------------------------------ */

static void rate_tell(bezel_rate *out, const bezel_guard *g, uint32_t used, int64_t reset_ms)
{
    out->used = used;
    out->remaining = g->options.max_requests > used ? g->options.max_requests - used : 0;
    out->allowed = out->remaining > 0;
    out->reset_ms = used ? reset_ms : 0;
    if (g->rates != NULL) {
        out->n_forgotten = g->rates->n_forgotten;
        out->window_bytes = rate_bytes(g->rates);
    }
}

static void rate_tell_user(bezel_rate *out, bezel_guard *g, uint32_t u, uint32_t now)
{
    bz_rate_table *t = g->rates;
    const uint64_t window = (uint64_t)g->options.window_s * 1000;
    rate_user *user = u == NONE ? NULL : &t->users[u];
    while (user != NULL && user->count && now - times_oldest(t, user) >= window)
        times_drop_oldest(t, user);
    const uint32_t used = user == NULL ? 0 : user->count;
    rate_tell(out, g, used, used ? (int64_t)(window - (now - times_oldest(t, user))) : 0);
}

static bezel_status rate_in_memory(bezel_rate *out, bezel_guard *g, const char *user, int take, bezel_error *err)
{
    uint8_t key[KEY_BYTES];
    bezel_status st = g->rates == NULL ? rate_open(g, err) : BEZEL_OK;
    if (st != BEZEL_OK)
        return st;
    bz_rate_table *t = g->rates;
    const uint32_t now = rate_now(g);
    crypto_shorthash_siphashx24(key, (const unsigned char *)(user ? user : ""), user ? strlen(user) : 0, t->secret);
    uint32_t u = t->n_slots ? t->slots[slot_of(t, key)] - 1 : NONE; /* 0 - 1 is NONE */
    rate_tell_user(out, g, u, now);
    if (!take || !out->allowed)
        return BEZEL_OK;
    if (u == NONE) {
        st = room_user(g, &u, now, err);
        if (st != BEZEL_OK)
            return st;
        t->users[u] = (rate_user){.first = NONE, .last = NONE};
        memcpy(t->users[u].key, key, KEY_BYTES);
        t->slots[slot_of(t, key)] = u + 1;
    } else {
        list_remove(t, u);
    }
    list_front(t, u);
    st = times_add(g, u, now, err);
    rate_tell_user(out, g, u, now);
    out->allowed = st == BEZEL_OK;
    return st;
}

/* --- Elsewhere ------------------------------------------------------------------------------ */

/* State of a user: this head, then the times, oldest first. */
typedef struct rate_head {
    uint32_t version, count;
    uint8_t boot[16];
    int64_t now_ms, wall_ms; /* both clocks when it was written */
} rate_head;

typedef struct rate_edit {
    const bezel_guard *guard;
    bezel_rate *out;
    int take, refused;
} rate_edit;

/* Age of what is at `time_ms` in the state: by the monotonic clock within a boot, by the wall clock, as far as it makes sense,
 * beyond. */
static int64_t edit_age(const rate_head *head, const bezel_guard *g, int64_t now, int64_t wall, int64_t time_ms)
{
    static const uint8_t unknown[16] = {0};
    const int64_t window = (int64_t)g->options.window_s * 1000;
    int64_t passed = wall - head->wall_ms;
    if (memcmp(head->boot, g->boot, sizeof g->boot) == 0 && memcmp(g->boot, unknown, sizeof unknown) != 0)
        passed = now - head->now_ms;
    if (passed < 0)
        passed = 0;
    if (passed > window)
        passed = window;
    return head->now_ms - time_ms + passed;
}

static void rate_edit_state(void *ud, const void *state, size_t size, void *out, size_t capacity, size_t *out_size)
{
    rate_edit *e = ud;
    const bezel_guard *g = e->guard;
    const int64_t now = rate_now_ms(g), wall = g->world->wall_ms(g->world->ud), window = (int64_t)g->options.window_s * 1000;
    rate_head head = {0}, next = {.version = 1, .now_ms = now, .wall_ms = wall};
    memcpy(next.boot, g->boot, sizeof next.boot);
    if (size >= sizeof head)
        memcpy(&head, state, sizeof head);
    if (head.version != 1 || (size - sizeof head) / sizeof now < head.count)
        head.count = 0;
    int64_t first = 0;
    for (uint32_t i = 0; i < head.count; i++) {
        int64_t time;
        memcpy(&time, (const char *)state + sizeof head + i * sizeof time, sizeof time);
        int64_t age = edit_age(&head, g, now, wall, time);
        if (age < 0)
            age = 0;
        if (age >= window || next.count >= g->options.max_requests)
            continue;
        time = now - age;
        first = next.count ? first : time;
        memcpy((char *)out + sizeof next + next.count++ * sizeof time, &time, sizeof time);
    }
    e->refused = next.count >= g->options.max_requests || sizeof next + (next.count + 1) * sizeof now > capacity;
    if (e->take && !e->refused) {
        first = next.count ? first : now;
        memcpy((char *)out + sizeof next + next.count++ * sizeof now, &now, sizeof now);
    }
    rate_tell(e->out, g, next.count, window - (now - first));
    memcpy(out, &next, sizeof next);
    *out_size = sizeof next + next.count * sizeof now;
}

static bezel_status rate_elsewhere(bezel_rate *out, bezel_guard *g, const char *user, int take, bezel_error *err)
{
    static const uint8_t fixed[crypto_shorthash_siphashx24_KEYBYTES] = "bezel windows"; /* the same in all processes */
    uint8_t key[KEY_BYTES];
    rate_edit edit = {g, out, take, 0};
    const size_t capacity = sizeof(rate_head) + g->options.max_requests * sizeof(int64_t);
    crypto_shorthash_siphashx24(key, (const unsigned char *)(user ? user : ""), user ? strlen(user) : 0, fixed);
    bezel_status st = g->windows.edit(g->windows.ud, key, capacity, rate_edit_state, &edit, err);
    if (st == BEZEL_OK && take)
        out->allowed = !edit.refused;
    return st;
}

/* --- Public --------------------------------------------------------------------------------- */

static bezel_status rate_ask(bezel_rate *out, bezel_guard *g, const char *user, int take, bezel_error *err)
{
    bezel_rate rate = {.size = sizeof rate};
    bezel_status st = g->windows.edit != NULL ? rate_elsewhere(&rate, g, user, take, err) : rate_in_memory(&rate, g, user, take, err);
    if (st != BEZEL_OK)
        rate.allowed = 0;
    if (out != NULL && bz_struct_sized(out))
        bz_struct_give(out, &rate, sizeof rate);
    if (st != BEZEL_OK || !take || rate.allowed)
        return st;
    bz_fail(err, BEZEL_ERR_DENIED, "guard", "%u requests in %u seconds are used up", rate.used, g->options.window_s);
    return bz_error_hint(err, BEZEL_ERR_DENIED, "there is room again in %lld ms", (long long)rate.reset_ms);
}

bezel_status bezel_guard_request(bezel_rate *out, bezel_guard *guard, const char *user, bezel_error *err)
{
    return rate_ask(out, guard, user, 1, err);
}

bezel_status bezel_guard_rate(bezel_rate *out, bezel_guard *guard, const char *user, bezel_error *err)
{
    return rate_ask(out, guard, user, 0, err);
}
