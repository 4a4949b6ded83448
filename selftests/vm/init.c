// SPDX-License-Identifier: MIT
/*
 * Process 1 of a guest: sets the machine up, inserts the modules under test,
 * runs one command, removes them, tells the host how it ended, powers off.
 * Static, so that it runs in any root.
 *
 * The host left a folder with the command (argv, NUL between the words), the
 * modules to insert (insmod, NUL between the files) and, under qemu, the
 * names of the modules to load and a seed for the kernel's random numbers.
 * The command's stdout and stderr are pipes which this program pumps to the
 * host, each to a channel of its own: a virtio port or a UART opens once
 * only, a pipe can be opened again as /dev/stderr.
 *
 * What the host may rely on: the last line of the status channel is
 * "exit STATUS TROUBLE", TROUBLE being the number of records in the kernel
 * log that no healthy run has, and of modules that could not be removed; or
 * "module 0 0" if one could not be inserted and the command was not run. If
 * that line is missing, the guest died.
 *
 * One thread; everything that can be waited for is in one poll().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARG_BYTES_MAX	(128 * 1024)
#define ARGS_MAX	1024
#define SEED_BYTES	64
#define CHANNEL_WAIT_MS	20000
#define MODULES_MAX	8
/* A module in use after its users are gone: tries, and the pause between */
#define REMOVE_TRIES	500
#define REMOVE_PAUSE_MS	10
/* Records shown from the first bad one on: a splat and its back-trace. */
#define TROUBLE_LINES	60
#define CONSOLE_LEVEL	7
/* The port of qemu's isa-debug-exit; the runner expects the code too. */
#define EXIT_PORT	0xf4
#define EXIT_CODE	16

/* Under UML the root is the host's; its folders are found by these names. */
#define ENV_UML_RUN	"KTC_VM_RUN"
#define ENV_UML_REPO	"KTC_VM_REPO"
#define ENV_UML_OUT	"KTC_VM_OUT"

enum channel { CHANNEL_OUT, CHANNEL_ERR, CHANNEL_STATUS, NR_CHANNELS };

static const char *const qemu_channel[NR_CHANNELS] = {
	[CHANNEL_OUT]    = "/dev/vport0p1",
	[CHANNEL_ERR]    = "/dev/vport0p2",
	[CHANNEL_STATUS] = "/dev/vport0p3",
};

#define QEMU_CHANNEL_TAR "/dev/vport0p4"

static const char *const uml_channel[NR_CHANNELS] = {
	[CHANNEL_OUT]    = "/dev/ttyS0",
	[CHANNEL_ERR]    = "/dev/ttyS1",
	[CHANNEL_STATUS] = "/vm/status",
};

static bool is_uml;
static int channel_fd[NR_CHANNELS] = { -1, -1, -1 };

/* The kernel log's reader: what it has seen so far. */
static struct {
	int fd;
	unsigned int trouble;
	unsigned int show;	/* records still to be shown */
} klog = { .fd = -1 };

static void power_off(void)
{
	sync();
	/*
	 * isa-debug-exit ends qemu at once, with a code no other way of dying
	 * has; without the device the write is lost and the power goes off.
	 */
	if (!is_uml && !iopl(3))
		outl(EXIT_CODE, EXIT_PORT);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Set-up that failed: the console has the reason, the host misses a status. */
static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	fprintf(stderr, "vm-init: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(err));
	va_end(args);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;	/* the host is gone: nobody to tell */
		data += n;
		len -= n;
	}
}

static void try_mount(const char *type, const char *dir, const char *options)
{
	/* Kernels without a file system, or that have it mounted: no harm. */
	(void)mkdir(dir, 0755);
	(void)mount(type, dir, type, 0, options);
}

static void mount_all(void)
{
	try_mount("devtmpfs", "/dev", NULL);
	try_mount("proc", "/proc", NULL);
	try_mount("sysfs", "/sys", NULL);
	try_mount("devpts", "/dev/pts", "ptmxmode=0666");
	try_mount("tmpfs", "/dev/shm", "mode=1777");
	/*
	 * /tmp is in memory as all of the root is, and stays: the run may have
	 * brought files there. Under UML /run has the host's own pid files.
	 */
	if (is_uml)
		try_mount("tmpfs", "/run", "mode=0755");
	try_mount("debugfs", "/sys/kernel/debug", NULL);
	try_mount("tracefs", "/sys/kernel/tracing", NULL);
	(void)symlink("/proc/self/fd", "/dev/fd");
	(void)symlink("/proc/self/fd/0", "/dev/stdin");
	(void)symlink("/proc/self/fd/1", "/dev/stdout");
	(void)symlink("/proc/self/fd/2", "/dev/stderr");
}

/*
 * UML: a root in which everything may be written and nothing reaches the
 * host: its files below, memory above. Only /out and /vm are the host's own.
 */
static void uml_root(void)
{
	const char *run = getenv(ENV_UML_RUN);
	const char *repo = getenv(ENV_UML_REPO);
	const char *out = getenv(ENV_UML_OUT);
	char path[4096];

	if (mount("tmpfs", "/tmp", "tmpfs", 0, "mode=0755"))
		die("tmpfs");
	(void)mkdir("/tmp/upper", 0755);
	(void)mkdir("/tmp/work", 0755);
	(void)mkdir("/tmp/root", 0755);
	if (mount("overlay", "/tmp/root", "overlay", 0,
		  "lowerdir=/,upperdir=/tmp/upper,workdir=/tmp/work"))
		die("overlay");
	(void)mkdir("/tmp/root/ktc", 0755);
	(void)mkdir("/tmp/root/vm", 0755);
	(void)mkdir("/tmp/root/out", 0755);
	snprintf(path, sizeof(path), "/tmp/root%s", repo);
	if (mount(path, "/tmp/root/ktc", NULL, MS_BIND, NULL))
		die("bind %s", repo);
	if (mount("hostfs", "/tmp/root/vm", "hostfs", 0, run))
		die("hostfs %s", run);
	if (out && mount("hostfs", "/tmp/root/out", "hostfs", 0, out))
		die("hostfs %s", out);
	if (chroot("/tmp/root") || chdir("/"))
		die("chroot");
	(void)unsetenv(ENV_UML_RUN);
	(void)unsetenv(ENV_UML_REPO);
	(void)unsetenv(ENV_UML_OUT);
}

static void raise_limits(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };

	(void)setrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = RLIM_INFINITY;
	limit.rlim_max = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("lo");
	close(fd);
}

/* An emulated CPU has nothing to gather entropy from: seconds at boot. */
static void seed_random(void)
{
	struct {
		struct rand_pool_info info;
		char bytes[SEED_BYTES];
	} seed = { .info = { .entropy_count = SEED_BYTES * 8,
			     .buf_size = SEED_BYTES } };
	int from = open("/vm/seed", O_RDONLY | O_CLOEXEC);
	int to = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (from >= 0 && to >= 0 &&
	    read(from, seed.bytes, SEED_BYTES) == SEED_BYTES)
		(void)ioctl(to, RNDADDENTROPY, &seed);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

/* Runs one program of the set-up and waits for it. */
static int run(char *const argv[], int out)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (out >= 0)
			(void)dup2(out, STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	return status;
}

/* An absent module is not an error here: the command sees what is missing. */
static void load_modules(void)
{
	char *argv[] = { "/bin/sh", "-c",
			 "for m in $(cat /vm/modules); do modprobe -q $m; done",
			 NULL };

	(void)run(argv, -1);
}

static int channel_open(const char *path)
{
	struct pollfd pfd = { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
			      .events = POLLIN };
	char events[4096];
	struct termios tio;
	int fd;

	if (pfd.fd < 0 || inotify_add_watch(pfd.fd, "/dev", IN_CREATE) < 0)
		die("inotify");
	/* A virtio port's node appears when the device has introduced it. */
	while ((fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC)) < 0) {
		if (errno != ENOENT || poll(&pfd, 1, CHANNEL_WAIT_MS) <= 0)
			die("%s", path);
		while (read(pfd.fd, events, sizeof(events)) > 0)
			;
	}
	close(pfd.fd);
	if (!tcgetattr(fd, &tio)) {
		cfmakeraw(&tio);
		(void)tcsetattr(fd, TCSANOW, &tio);
	}
	return fd;
}

static bool starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/*
 * Only what opens a record counts: a driver's or a program's line may well
 * have the word WARNING further on.
 */
static bool is_trouble(const char *text)
{
	static const char *const opening[] = {
		"WARNING: ", "BUG: ", "kernel BUG at", "Oops", "Kernel panic",
		"general protection fault", "double fault", "invalid opcode",
		"divide error", "stack segment", "KASAN: ", "UBSAN: ",
		"INFO: possible", "INFO: task ", "INFO: rcu", "rcu: INFO: ",
		"INFO: suspicious", "INFO: lockdep", "INFO: trying to register",
		"kmemleak: ", "refcount_t: ", "unregister_netdevice: waiting",
		"watchdog: BUG", "list_add corruption", "list_del corruption",
	};

	/* Allocation profiling, line by line, those with nothing left too. */
	if (strstr(text, " allocated at module unload"))
		return !strstr(text, " has 0 allocated");

	for (size_t i = 0; i < sizeof(opening) / sizeof(opening[0]); i++) {
		if (starts(text, opening[i]))
			/* What kmemleak says of itself at boot. */
			return !starts(text, "kmemleak: Kernel memory leak "
					     "detector") &&
			       !starts(text, "kmemleak: Automatic");
	}
	return false;
}

static void klog_open(void)
{
	klog.fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (klog.fd < 0)
		die("/dev/kmsg");
}

/* Reads the records that are there: "priority,number,time,flags;text\n...". */
static void klog_read(void)
{
	char record[8192];

	for (;;) {
		ssize_t n = read(klog.fd, record, sizeof(record) - 1);
		char *text;

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;	/* EPIPE: records were overwritten */
		if (n <= 0)
			return;
		record[n] = '\0';
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = '\0';
		if (is_trouble(text)) {
			klog.trouble++;
			klog.show = TROUBLE_LINES;
		} else if (starts(text, "------------[ cut here")) {
			/* A warning's own words come before the word. */
			klog.show = TROUBLE_LINES;
		}
		if (klog.show > 0) {
			klog.show--;
			dprintf(channel_fd[CHANNEL_ERR], "kernel: %s\n", text);
			if (starts(text, "---[ end trace"))
				klog.show = 0;
		}
	}
}

/* Words with a NUL between them; how many there are. */
static size_t read_words(const char *path, char *buf, size_t size, char **words,
			 size_t words_max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0, count = 0;
	ssize_t n;

	if (fd < 0)
		die("%s", path);
	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = '\0';
	for (char *p = buf; p < buf + len && count < words_max;
	     p += strlen(p) + 1)
		words[count++] = p;
	return count;
}

/* The command's words; they live until power-off. */
static char **read_argv(void)
{
	static char words[ARG_BYTES_MAX];
	static char *argv[ARGS_MAX + 1];

	errno = EINVAL;
	if (!read_words("/vm/argv", words, sizeof(words), argv, ARGS_MAX))
		die("no command");
	return argv;
}

/* The modules under test, in the order they were inserted. */
static struct {
	char buf[4096];
	char *file[MODULES_MAX];
	size_t count;
} tested;

/* False, and said why, if one cannot be inserted. */
static bool modules_insert(void)
{
	size_t files = read_words("/vm/insmod", tested.buf, sizeof(tested.buf),
				  tested.file, MODULES_MAX);

	while (tested.count < files) {
		const char *file = tested.file[tested.count];
		int fd = open(file, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
			dprintf(channel_fd[CHANNEL_ERR],
				"vm-init: %s: cannot be inserted: %s\n", file,
				strerror(errno));
			/* The kernel's own words are more than an errno. */
			klog.show = TROUBLE_LINES;
			klog_read();
			return false;
		}
		close(fd);
		tested.count++;
	}
	return true;
}

/* The name in the kernel of the module in the file. */
static void module_name(const char *file, char *name, size_t size)
{
	const char *base = strrchr(file, '/');

	snprintf(name, size, "%s", base ? base + 1 : file);
	name[strcspn(name, ".")] = '\0';
	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : *p;
}

/*
 * Nobody is left who could use them, but rings and files are taken down behind
 * a process that has ended. One that stays in use has lost a reference. One
 * that the command removed is gone, which is fine.
 */
static void modules_remove(void)
{
	while (tested.count > 0) {
		int tries = REMOVE_TRIES;
		char name[64];

		module_name(tested.file[--tested.count], name, sizeof(name));
		while (syscall(SYS_delete_module, name, O_NONBLOCK)) {
			if (errno == ENOENT)
				break;
			if (errno == EAGAIN && tries-- > 0) {
				(void)poll(NULL, 0, REMOVE_PAUSE_MS);
				continue;
			}
			dprintf(channel_fd[CHANNEL_ERR],
				"vm-init: %s: cannot be removed: %s\n", name,
				strerror(errno));
			klog.trouble++;
			break;
		}
	}
	klog_read();
}

static pid_t command_start(char **argv, const int out[2], const int err[2])
{
	sigset_t none;
	pid_t pid = fork();

	if (pid)
		return pid;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	if (dup2(open("/dev/null", O_RDONLY), STDIN_FILENO) < 0 ||
	    dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
		_exit(126);
	if (!chdir("/ktc"))
		execvp(argv[0], argv);
	fprintf(stderr, "vm-init: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Moves what the pipe holds to the channel; false at its end. */
static bool pump(int from, int to)
{
	char buf[16384];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		write_all(to, buf, n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Returns the command's status the way a shell tells it. */
static int command_run(char **argv)
{
	enum { POLL_OUT, POLL_ERR, POLL_KLOG, POLL_CHILD, NR_POLL };
	struct pollfd pfd[NR_POLL] = { { 0 } };
	int out[2], err[2], status = 0;
	struct signalfd_siginfo info;
	bool running = true;
	sigset_t child;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("pipe");
	pid = command_start(argv, out, err);
	if (pid < 0)
		die("fork");
	close(out[1]);
	close(err[1]);
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(err[0], F_SETFL, O_NONBLOCK);

	pfd[POLL_OUT].fd = out[0];
	pfd[POLL_ERR].fd = err[0];
	pfd[POLL_KLOG].fd = klog.fd;
	pfd[POLL_CHILD].fd = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	for (int i = 0; i < NR_POLL; i++)
		pfd[i].events = POLLIN;

	while (running) {
		int wstatus;
		pid_t dead;

		if (poll(pfd, NR_POLL, -1) < 0 && errno != EINTR)
			die("poll");
		if (pfd[POLL_OUT].revents &&
		    !pump(out[0], channel_fd[CHANNEL_OUT]))
			pfd[POLL_OUT].fd = -1;
		if (pfd[POLL_ERR].revents &&
		    !pump(err[0], channel_fd[CHANNEL_ERR]))
			pfd[POLL_ERR].fd = -1;
		klog_read();
		while (read(pfd[POLL_CHILD].fd, &info, sizeof(info)) > 0)
			;
		while ((dead = waitpid(-1, &wstatus, WNOHANG)) > 0) {
			if (dead != pid)
				continue;
			running = false;
			status = WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) :
						      128 + WTERMSIG(wstatus);
		}
	}

	/* Daemons it left: their sockets close now, while the log is read. */
	(void)kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	(void)pump(out[0], channel_fd[CHANNEL_OUT]);
	(void)pump(err[0], channel_fd[CHANNEL_ERR]);
	/* A grace period: what those sockets left to RCU is under way. */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	klog_read();
	return status;
}

/* A port nobody asked for is not there, and nothing is sent. */
static void send_results(void)
{
	char *argv[] = { "/bin/tar", "-C", "/out", "-c", ".", NULL };
	int fd;

	if (is_uml || access(QEMU_CHANNEL_TAR, W_OK))
		return;
	fd = open(QEMU_CHANNEL_TAR, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || run(argv, fd))
		dprintf(channel_fd[CHANNEL_ERR], "vm-init: /out not sent\n");
}

int main(void)
{
	const char *const *channel;
	char **argv;
	int status;

	is_uml = getenv(ENV_UML_RUN);
	if (is_uml)
		uml_root();
	mount_all();
	(void)setenv("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	(void)setenv("HOME", "/tmp", 1);
	(void)unsetenv("TERM");
	raise_limits();
	loopback_up();
	if (!is_uml) {
		seed_random();
		load_modules();
	}
	/* From here on the console has it all; the boot was quiet. */
	(void)klogctl(8, NULL, CONSOLE_LEVEL);

	channel = is_uml ? uml_channel : qemu_channel;
	for (int i = 0; i < NR_CHANNELS; i++)
		channel_fd[i] = channel_open(channel[i]);
	klog_open();
	klog_read();
	argv = read_argv();

	if (modules_insert()) {
		status = command_run(argv);
		modules_remove();
		send_results();
		dprintf(channel_fd[CHANNEL_STATUS], "exit %d %u\n", status,
			klog.trouble);
	} else {
		dprintf(channel_fd[CHANNEL_STATUS], "module 0 0\n");
	}
	for (int i = 0; i < NR_CHANNELS; i++)
		(void)tcdrain(channel_fd[i]);
	power_off();
	return 0;
}
