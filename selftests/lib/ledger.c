// SPDX-License-Identifier: MIT
/*
 * Who has which ticket. Every allocation has a head before it; a ticket's says
 * which line of the table is its own. A line is written once with what the
 * ticket is, before it is given, and read by takers after: the inventory must
 * have ordered the two, and a thread sanitizer sees when it has not. The state
 * alone is atomic, relaxed, for an exchange needs no order to have one winner.
 */
#include "ledger.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stock.h"
#include "sys.h"
#include "ticket.h"

#define HEAD_LIVE 0x6c697665u
#define HEAD_FREED 0x66726565u
#define FREED_BYTE 0xa5

/* As large as malloc's alignment, so that what follows has it too. */
struct head {
	uint32_t magic;
	uint32_t line;		/* of a ticket, else 0 */
	uint64_t size;
};

struct line {
	uint32_t state;		/* enum ledger_state, atomic */
	uint32_t owner;
	uint64_t expires_s;
};

static struct line *lines;	/* number 0 is nobody's */
static uint32_t lines_max;
static uint32_t lines_used;	/* atomic, may be above the maximum */
static uint64_t tickets_freed;	/* atomic */
static int64_t live;		/* atomic */

static char wrong[200];
static bool wrong_taken, wrong_said;	/* atomic */

static __thread uint32_t starve;
static __thread struct draw starve_draw;

_Static_assert(sizeof(struct head) == 16, "alignment stays");

static const char *const names[] = {
	[LEDGER_MADE] = "the test's",
	[LEDGER_IN] = "in the inventory",
	[LEDGER_SHARED] = "shared",
	[LEDGER_TAKEN] = "taken",
	[LEDGER_OUT] = "used up",
	[LEDGER_FREED] = "freed",
};

bool ledger_complain(const char *fmt, ...)
{
	va_list args;

	if (__atomic_exchange_n(&wrong_taken, true, __ATOMIC_RELAXED))
		return false;
	va_start(args, fmt);
	(void)vsnprintf(wrong, sizeof(wrong), fmt, args);	/* may cut */
	va_end(args);
	/* Release: pairs with ledger_wrong(), which reads the text then. */
	__atomic_store_n(&wrong_said, true, __ATOMIC_RELEASE);
	return false;
}

const char *ledger_wrong(void)
{
	/* Acquire: pairs with the store in ledger_complain(). */
	return __atomic_load_n(&wrong_said, __ATOMIC_ACQUIRE) ? wrong : NULL;
}

static struct head *head_of(const void *p)
{
	return (struct head *)((uintptr_t)p - sizeof(struct head));
}

/* The line of what should be a ticket; 0 and a complaint when it is none. */
static uint32_t line_of(const struct ticket *ticket)
{
	const struct head *head = head_of(ticket);

	if (head->magic == HEAD_LIVE && head->line &&
	    head->line <= lines_max)
		return head->line;
	(void)ledger_complain("%p is no ticket, or not any more",
			      (const void *)ticket);
	return 0;
}

static uint32_t exchange(uint32_t line, enum ledger_state to)
{
	return __atomic_exchange_n(&lines[line].state, (uint32_t)to,
				   __ATOMIC_RELAXED);
}

int ledger_open(uint32_t tickets_max)
{
	lines = calloc(tickets_max + 1u, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	lines_max = tickets_max;
	lines_used = 0;
	tickets_freed = 0;
	live = 0;
	wrong_taken = false;
	wrong_said = false;
	return 0;
}

void ledger_close(void)
{
	free(lines);
	lines = NULL;
	lines_max = 0;
}

static void *watched_alloc(size_t size)
{
	struct head *head;

	if (starve && !draw_below(&starve_draw, starve))
		return NULL;
	head = sys_real.alloc(sizeof(*head) + size);
	if (!head)
		return NULL;
	head->magic = HEAD_LIVE;
	head->size = size;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return head + 1;
}

static void bury(uint32_t line)
{
	uint32_t was = exchange(line, LEDGER_FREED);

	__atomic_fetch_add(&tickets_freed, 1, __ATOMIC_RELAXED);
	if (was == LEDGER_TAKEN || was == LEDGER_FREED)
		(void)ledger_complain("ticket %u was freed when %s", line,
				      names[was]);
}

static void watched_free(void *p)
{
	struct head *head = head_of(p);

	if (head->magic != HEAD_LIVE) {
		(void)ledger_complain("%p was freed twice or never allocated",
				      p);
		return;
	}
	if (head->line)
		bury(head->line);
	head->magic = HEAD_FREED;
	/* Whoever still looks there does not find what was. */
	memset(p, FREED_BYTE, head->size);
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	sys_real.free(head);
}

void ledger_watch(struct sys_ops *ops)
{
	ops->alloc = watched_alloc;
	ops->free = watched_free;
}

void ledger_starve(uint32_t n)
{
	starve = n;
	starve_draw = draw_new((uintptr_t)&starve);
}

bool ledger_is_full(void)
{
	return __atomic_load_n(&lines_used, __ATOMIC_RELAXED) >= lines_max;
}

struct ticket *ledger_make(uint32_t owner, bool single_use, uint64_t expires_s)
{
	uint32_t hunger = starve, line;
	struct ticket *ticket;

	if (ledger_is_full())
		return NULL;
	line = __atomic_add_fetch(&lines_used, 1, __ATOMIC_RELAXED);
	if (line > lines_max)
		return NULL;
	starve = 0;
	ticket = stock_ticket(single_use, expires_s);
	starve = hunger;
	if (!ticket) {
		(void)ledger_complain("the test has no memory");
		return NULL;
	}
	head_of(ticket)->line = line;
	lines[line].owner = owner;
	lines[line].expires_s = expires_s;
	return ticket;
}

bool ledger_move(const struct ticket *ticket, enum ledger_state from,
		 enum ledger_state to)
{
	uint32_t line = line_of(ticket), was;

	if (!line)
		return false;
	was = exchange(line, to);
	return was == (uint32_t)from ||
	       ledger_complain("ticket %u was %s, not %s", line, names[was],
			       names[from]);
}

bool ledger_took(const struct ticket *ticket, uint32_t owner, uint64_t then_s)
{
	uint32_t line = line_of(ticket), was;
	const struct line *l = &lines[line];

	if (!line)
		return false;
	was = ticket->single_use ?
	      exchange(line, LEDGER_TAKEN) :
	      __atomic_load_n(&l->state, __ATOMIC_RELAXED);
	if (was != (ticket->single_use ? LEDGER_IN : LEDGER_SHARED))
		return ledger_complain("ticket %u was handed out when %s",
				       line, names[was]);
	if (l->owner != owner)
		return ledger_complain("ticket %u of identity %u went to %u",
				       line, l->owner, owner);
	if (!ticket_is_fresh(ticket, then_s) ||
	    ticket->expires_s != l->expires_s)
		return ledger_complain("ticket %u ends at %llu, taken at %llu",
				       line, (unsigned long long)l->expires_s,
				       (unsigned long long)then_s);
	return true;
}

uint32_t ledger_owner(const struct ticket *ticket)
{
	return lines[line_of(ticket)].owner;
}

uint64_t ledger_made(void)
{
	uint32_t used = __atomic_load_n(&lines_used, __ATOMIC_RELAXED);

	return used < lines_max ? used : lines_max;
}

uint64_t ledger_freed(void)
{
	return __atomic_load_n(&tickets_freed, __ATOMIC_RELAXED);
}

int64_t ledger_live(void)
{
	return __atomic_load_n(&live, __ATOMIC_RELAXED);
}
