// SPDX-License-Identifier: MIT
/*
 * Runs a command and samples the machine meanwhile: every so many nanoseconds
 * of CPU time where the CPU is. In a guest whose clock counts instructions
 * that tells where the instructions go. The kernel's own software clock event
 * does it, so it needs no counters of the processor; code that runs with
 * interrupts off is sampled where it lets them in again.
 *
 * The samples stay in one buffer until the command has ended, so reading them
 * is not among them. Then they are counted by task name and symbol, alone and
 * with what it called: the kernel's and its modules' by /proc/kallsyms, of
 * user space only the file.
 *
 * One thread; static, so that it runs in any guest.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Taking a sample costs some 20000 instructions: much less often than that, or
 * the samples keep step with a load that does the same over and over.
 */
#define PERIOD_NS    100003
#define BUFFER_BYTES (UINT64_C(128) << 20)
#define COMM_LEN     16
#define NAME_LEN     64
#define CPUS_MAX     64
#define TOP	     45

struct symbol {
	uint64_t at;
	char name[NAME_LEN];
	uint64_t hits; /* in it */
	uint64_t with; /* in it or in what it called */
	uint64_t last; /* sample that was counted in @with */
};

/* an executable part of a file in a process */
struct map {
	uint32_t pid;
	uint64_t from;
	uint64_t until;
	struct symbol *file;
};

struct task {
	uint32_t tid;
	char comm[COMM_LEN];
	uint64_t hits;
};

/* how the kernel lays a sample out for the fields that are asked for */
struct sample {
	struct perf_event_header header;
	uint64_t ip;
	uint32_t pid, tid;
	uint64_t depth;
	uint64_t caller[];
};

struct table {
	void *items;
	size_t count;
	size_t room;
	size_t size;
};

static struct table symbols = { .size = sizeof(struct symbol) };
static struct table maps = { .size = sizeof(struct map) };
static struct table tasks = { .size = sizeof(struct task) };
static struct perf_event_mmap_page *buffer[CPUS_MAX];
static const char *wanted = "";
static uint64_t lost, total, counted;

static void die(const char *what)
{
	fprintf(stderr, "sample: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void *add(struct table *t)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 4096;
		t->items = realloc(t->items, t->room * t->size);
		if (!t->items)
			die("memory");
	}
	return memset((char *)t->items + t->count++ * t->size, 0, t->size);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		die(path);
}

static int open_cpu(int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID |
			       PERF_SAMPLE_CALLCHAIN,
		.exclude_callchain_user = 1,
		.exclude_idle = 1,
		.disabled = 1,
		.comm = 1,
		.mmap = 1,
	};
	size_t len = BUFFER_BYTES + (size_t)getpagesize();
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);

	if (fd < 0)
		die("perf_event_open");
	buffer[cpu] =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (buffer[cpu] == MAP_FAILED)
		die("the buffer");
	return fd;
}

static int run(char **argv, int *fds, int cpus)
{
	int gate[2], status, i;
	char go = 0;
	pid_t pid;

	if (pipe(gate))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (read(gate[0], &go, 1) == 1)
			execvp(argv[0], argv);
		die(argv[0]);
	}
	for (i = 0; i < cpus; i++)
		if (ioctl(fds[i], PERF_EVENT_IOC_ENABLE, 0))
			die("enable");
	if (write(gate[1], &go, 1) != 1)
		die("pipe");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	for (i = 0; i < cpus; i++)
		if (ioctl(fds[i], PERF_EVENT_IOC_DISABLE, 0))
			die("disable");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* kernel symbols, in the order of their addresses */
static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static void read_kallsyms(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], name[256], module[64];
	struct symbol *s;
	uint64_t at;
	char kind;
	int n;

	if (!file)
		die("/proc/kallsyms");
	while (fgets(line, sizeof(line), file)) {
		n = sscanf(line, "%" SCNx64 " %c %255s [%63[^]]", &at, &kind,
			   name, module);
		if (n < 3 || !strchr("tTwW", kind))
			continue;
		s = add(&symbols);
		s->at = at;
		if (n == 4)
			(void)snprintf(s->name, NAME_LEN, "%.40s [%.20s]", name,
				       module);
		else
			(void)snprintf(s->name, NAME_LEN, "%.63s", name);
	}
	(void)fclose(file);
	qsort(symbols.items, symbols.count, symbols.size, by_address);
}

static struct symbol *kernel_symbol(uint64_t ip)
{
	struct symbol *s = symbols.items;
	size_t low = 0, high = symbols.count, middle;

	while (high - low > 1) {
		middle = (low + high) / 2;
		if (s[middle].at <= ip)
			low = middle;
		else
			high = middle;
	}
	return symbols.count ? &s[low] : NULL;
}

static struct symbol *file_symbol(const char *path)
{
	static struct table files = { .size = sizeof(struct symbol *) };
	const char *base = strrchr(path, '/');
	struct symbol **s = files.items, *made;
	size_t i;

	base = base ? base + 1 : path;
	for (i = 0; i < files.count; i++)
		if (!strcmp(s[i]->name, base))
			return s[i];
	made = calloc(1, sizeof(*made));
	if (!made)
		die("memory");
	(void)snprintf(made->name, NAME_LEN, "%.63s", base);
	s = add(&files);
	*s = made;
	return made;
}

/* a child that was forked has its parent's maps, so any process's will do */
static struct symbol *user_symbol(uint32_t pid, uint64_t ip)
{
	struct symbol *found = NULL;
	struct map *m = maps.items;
	size_t i;

	for (i = maps.count; i--;) {
		if (ip < m[i].from || ip >= m[i].until)
			continue;
		if (m[i].pid == pid)
			return m[i].file;
		if (!found)
			found = m[i].file;
	}
	return found ? found : file_symbol("[user]");
}

static struct task *task_of(uint32_t tid)
{
	struct task *t = tasks.items;
	char path[64];
	FILE *file;
	size_t i;

	for (i = 0; i < tasks.count; i++)
		if (t[i].tid == tid)
			return &t[i];
	t = add(&tasks);
	t->tid = tid;
	(void)snprintf(path, sizeof(path), "/proc/%u/comm", tid);
	file = fopen(path, "r");
	if (!file || !fgets(t->comm, COMM_LEN, file))
		strcpy(t->comm, "?");
	t->comm[strcspn(t->comm, "\n")] = '\0';
	if (file)
		(void)fclose(file);
	return t;
}

static void note_map(const struct perf_event_header *h)
{
	/* what follows the header: see PERF_RECORD_MMAP */
	const struct {
		struct perf_event_header header;
		uint32_t pid, tid;
		uint64_t addr, len, offset;
		char path[];
	} *r = (const void *)h;
	struct map *m = add(&maps);

	m->pid = r->pid;
	m->from = r->addr;
	m->until = r->addr + r->len;
	m->file = file_symbol(r->path);
}

static void note_comm(const struct perf_event_header *h)
{
	const struct {
		struct perf_event_header header;
		uint32_t pid, tid;
		char comm[];
	} *r = (const void *)h;

	(void)snprintf(task_of(r->tid)->comm, COMM_LEN, "%s", r->comm);
}

/* the chain begins with the symbol itself; some of it says whose it is */
static void note_callers(const struct sample *r)
{
	struct symbol *s;
	uint64_t i;

	for (i = 0; i < r->depth; i++) {
		if (r->caller[i] >= (uint64_t)PERF_CONTEXT_MAX)
			continue;
		s = kernel_symbol(r->caller[i]);
		/* once, however often it called itself */
		if (s->last != counted)
			s->with++;
		s->last = counted;
	}
}

static void note_sample(const struct perf_event_header *h)
{
	const struct sample *r = (const void *)h;
	struct task *t = task_of(r->tid);
	struct symbol *s;

	total++;
	t->hits++;
	if (strncmp(t->comm, wanted, strlen(wanted)))
		return;
	counted++;
	if (r->ip >> 63) {
		kernel_symbol(r->ip)->hits++;
		note_callers(r);
		return;
	}
	s = user_symbol(r->pid, r->ip);
	s->hits++;
	s->with++;
}

/* the buffer never wrapped: what had no room was lost, and is counted */
static void read_buffer(const struct perf_event_mmap_page *page,
			void (*note)(const struct perf_event_header *h))
{
	const char *at = (const char *)page + getpagesize();
	const char *end = at + page->data_head;

	while (at < end) {
		const struct perf_event_header *h = (const void *)at;

		note(h);
		at += h->size;
	}
}

/* names first: a task may take its name after its first samples */
static void first_round(const struct perf_event_header *h)
{
	if (h->type == PERF_RECORD_MMAP)
		note_map(h);
	else if (h->type == PERF_RECORD_COMM)
		note_comm(h);
	else if (h->type == PERF_RECORD_LOST)
		lost += ((const uint64_t *)(h + 1))[1];
}

static void second_round(const struct perf_event_header *h)
{
	if (h->type == PERF_RECORD_SAMPLE)
		note_sample(h);
}

static int by_hits(const void *a, const void *b)
{
	const struct symbol *x = *(struct symbol *const *)a;
	const struct symbol *y = *(struct symbol *const *)b;

	return (x->hits < y->hits) - (x->hits > y->hits);
}

static int by_with(const void *a, const void *b)
{
	const struct symbol *x = *(struct symbol *const *)a;
	const struct symbol *y = *(struct symbol *const *)b;

	return (x->with < y->with) - (x->with > y->with);
}

static void print_tasks(void)
{
	struct task *t = tasks.items;
	size_t i;

	printf("%" PRIu64 " samples, each %d ns; %" PRIu64 " lost\n", total,
	       PERIOD_NS, lost);
	for (i = 0; i < tasks.count; i++)
		if (t[i].hits * 200 >= total && t[i].hits)
			printf("%7.2f %%  %-15s %u\n",
			       100.0 * (double)t[i].hits / (double)total,
			       t[i].comm, t[i].tid);
}

static double percent(uint64_t part)
{
	return 100.0 * (double)part / (double)counted;
}

static void print_top(const struct table *found, const char *how)
{
	struct symbol **list = found->items;
	size_t i;

	printf("\n  alone     with what it calls   (%s)\n", how);
	for (i = 0; i < found->count && i < TOP; i++)
		printf("%7.2f %% %7.2f %%  %s\n", percent(list[i]->hits),
		       percent(list[i]->with), list[i]->name);
}

static void print_symbols(void)
{
	struct table found = { .size = sizeof(struct symbol *) };
	struct symbol *s = symbols.items;
	struct map *m = maps.items;
	size_t i;

	for (i = 0; i < symbols.count; i++)
		if (s[i].with || s[i].hits)
			*(struct symbol **)add(&found) = &s[i];
	s = file_symbol("[user]");
	if (s->hits)
		*(struct symbol **)add(&found) = s;
	for (i = 0; i < maps.count; i++) {
		if (!m[i].file->hits || m[i].file->at)
			continue;
		m[i].file->at = 1; /* once */
		*(struct symbol **)add(&found) = m[i].file;
	}
	printf("\n%" PRIu64 " of them in tasks \"%s*\"\n", counted, wanted);
	qsort(found.items, found.count, found.size, by_hits);
	print_top(&found, "by the first");
	qsort(found.items, found.count, found.size, by_with);
	print_top(&found, "by the second");
}

int main(int argc, char **argv)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN), fds[CPUS_MAX];
	int status, i;

	if (argc < 3 || cpus > CPUS_MAX) {
		fprintf(stderr, "usage: sample TASK COMMAND [ARGUMENT]...\n");
		return 125;
	}
	wanted = argv[1];
	/* or it samples less often when that takes long, and here it does */
	write_file("/proc/sys/kernel/perf_event_max_sample_rate", "1000000\n");
	write_file("/proc/sys/kernel/perf_cpu_time_max_percent", "0\n");
	for (i = 0; i < cpus; i++)
		fds[i] = open_cpu(i);
	status = run(argv + 2, fds, cpus);
	(void)fflush(stdout);
	read_kallsyms();
	for (i = 0; i < cpus; i++)
		read_buffer(buffer[i], first_round);
	for (i = 0; i < cpus; i++)
		read_buffer(buffer[i], second_round);
	if (!total) {
		fprintf(stderr, "sample: no samples\n");
		return 125;
	}
	print_tasks();
	if (counted)
		print_symbols();
	return status;
}
