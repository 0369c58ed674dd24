// SPDX-License-Identifier: BSD-2-Clause
// taprelay.c - a light VM: joins a guest namespace's NIC to a switch's tap, with a guest's offloads
//
// A guest's driver and QEMU agree on two sets of offloads: what the guest may leave undone in what
// it sends (VIRTIO_NET_F_CSUM, HOST_TSO4, ...: --tx) and what it accepts undone (GUEST_CSUM,
// GUEST_TSO4, ...: --rx). Here the NIC is a tap inside the guest's namespace, whose TUNSETOFFLOAD
// is the first set; the second is TUNSETOFFLOAD on the switch's tap, exactly as QEMU does it.

#include <arpa/inet.h>
#include <getopt.h>
#include <net/if_arp.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "tap.h"

#define BATCH 64

struct options {
	const char *guest_netns;
	const char *guest_if;
	const char *switch_netns;
	const char *switch_tap;
	const char *mac;
	int mtu;
	unsigned int tx;
	unsigned int rx;
	const char *pid_file;
	const char *stats_file;
};

/* One way through the relay; the counters go to the statistics. */
struct way {
	const char *name;
	int from, to;
	unsigned int allowed; /* offloads that a frame on this way may make use of */
	uint64_t frames, bytes, gso, needs_csum;
	uint64_t refused;      /* frames the other side did not take */
	uint64_t unnegotiated; /* frames with an offload nobody agreed on: never relayed */
};

static struct options opt = {.guest_if = "eth0", .mtu = 1500};

/* --- devices --- */

static void set_link(
	int sock, const char *name, unsigned long request, const char *what, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (ioctl(sock, request, ifr))
		err(EXIT_BROKEN, "%s: %s", name, what);
}

/* The guest's NIC: made here, gone when the relay exits. */
static int guest_nic(void)
{
	int old = netns_enter(opt.guest_netns);
	int fd, sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	if (if_nametoindex(opt.guest_if))
		errx(EXIT_BROKEN, "%s exists already in the guest", opt.guest_if);
	fd = tap_open_new(opt.guest_if, opt.tx);
	if (opt.mac) {
		parse_mac(opt.mac, (uint8_t *)ifr.ifr_hwaddr.sa_data);
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		set_link(sock, opt.guest_if, SIOCSIFHWADDR, "MAC", &ifr);
	}
	ifr = (struct ifreq){.ifr_mtu = opt.mtu};
	set_link(sock, opt.guest_if, SIOCSIFMTU, "MTU", &ifr);
	ifr = (struct ifreq){};
	set_link(sock, opt.guest_if, SIOCGIFFLAGS, "flags", &ifr);
	ifr.ifr_flags |= IFF_UP;
	set_link(sock, opt.guest_if, SIOCSIFFLAGS, "up", &ifr);
	tap_wait_running(opt.guest_if);
	close(sock);
	netns_leave(old);
	return fd;
}

static int switch_tap(void)
{
	int old = netns_enter(opt.switch_netns);
	int fd = tap_open(opt.switch_tap, opt.rx);

	netns_leave(old);
	return fd;
}

/* --- relaying --- */

static unsigned int offloads_used(const struct virtio_net_hdr *hdr)
{
	unsigned int bits = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? TUN_F_CSUM : 0;

	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return bits;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return bits | TUN_F_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return bits | TUN_F_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return bits | TUN_F_USO4;
	default:
		return ~0u;
	}
}

static void account(struct way *way, const struct virtio_net_hdr *hdr, ssize_t len)
{
	way->frames++;
	way->bytes += (uint64_t)len - TAP_HDR_LEN;
	way->gso += hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	way->needs_csum += !!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

/* Returns false when a tap is gone. */
static bool relay(struct way *way)
{
	static struct tap_frame frame;
	int i;

	for (i = 0; i < BATCH; i++) {
		ssize_t len = read(way->from, &frame, sizeof(frame));

		if (len < 0)
			return errno == EAGAIN || errno == EINTR;
		if (offloads_used(&frame.vnet.hdr) & ~way->allowed) {
			way->unnegotiated++;
			continue;
		}
		account(way, &frame.vnet.hdr, len);
		if (write(way->to, &frame, (size_t)len) == len)
			continue;
		if (errno == EBADFD)
			return false;
		way->refused++;
	}
	return true;
}

static void print_way(FILE *out, const struct way *way, const char *end)
{
	fprintf(out,
		"\"%s\":{\"frames\":%llu,\"bytes\":%llu,\"gso\":%llu,\"needs_csum\":%llu,"
		"\"refused\":%llu,\"unnegotiated\":%llu}%s",
		way->name, (unsigned long long)way->frames, (unsigned long long)way->bytes,
		(unsigned long long)way->gso, (unsigned long long)way->needs_csum,
		(unsigned long long)way->refused, (unsigned long long)way->unnegotiated, end);
}

/* Written beside and renamed, so that a reader never sees half of it. */
static void write_stats(const struct way *to_switch, const struct way *to_guest)
{
	char path[PATH_MAX];
	FILE *out = stdout;

	if (opt.stats_file) {
		snprintf(path, sizeof(path), "%s.new", opt.stats_file);
		out = fopen(path, "w");
		if (!out) {
			warn("%s", path);
			return;
		}
	}
	fputc('{', out);
	print_way(out, to_switch, ",");
	print_way(out, to_guest, "}\n");
	if (out == stdout)
		fflush(out);
	else if (fclose(out) || rename(path, opt.stats_file))
		warn("%s", opt.stats_file);
}

/* Until SIGTERM, or until a tap vanishes; SIGUSR1 writes the statistics. */
static int run(int guest, int host, int signals)
{
	struct way to_switch = {.name = "to_switch", .from = guest, .to = host, .allowed = opt.tx};
	struct way to_guest = {.name = "to_guest", .from = host, .to = guest, .allowed = opt.rx};
	struct pollfd pfd[] = {{.fd = guest, .events = POLLIN}, {.fd = host, .events = POLLIN},
		{.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	bool alive = true;

	while (alive) {
		if (poll(pfd, 3, -1) < 0)
			err(EXIT_BROKEN, "poll");
		if (pfd[0].revents)
			alive = relay(&to_switch);
		if (alive && pfd[1].revents)
			alive = relay(&to_guest);
		if (!pfd[2].revents)
			continue;
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			err(EXIT_BROKEN, "signalfd");
		write_stats(&to_switch, &to_guest);
		if (info.ssi_signo != SIGUSR1)
			return 0;
	}
	write_stats(&to_switch, &to_guest);
	warnx("a tap has vanished");
	return EXIT_UNMET;
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* The parent returns to the shell only now, when both devices are up. */
static void go_to_background(void)
{
	FILE *out;
	pid_t pid = fork();

	if (pid < 0)
		err(EXIT_BROKEN, "fork");
	if (!pid) {
		/* Nobody who waits for the end of our output may wait for the daemon. */
		if (setsid() < 0 || !freopen("/dev/null", "w", stdout))
			err(EXIT_BROKEN, "cannot leave the terminal");
		return;
	}
	out = fopen(opt.pid_file, "w");
	if (!out || fprintf(out, "%d\n", (int)pid) < 0 || fclose(out)) {
		warn("%s", opt.pid_file);
		kill(pid, SIGTERM);
		exit(EXIT_BROKEN);
	}
	exit(0);
}

/* --- main --- */

static const char usage[] =
	"usage: taprelay --guest-netns NAME --switch-tap NAME [options]\n"
	"  --guest-if NAME      the guest's NIC, made here (eth0)\n"
	"  --mac MAC --mtu N    of the guest's NIC (random, 1500)\n"
	"  --switch-netns NAME  where the switch's tap is (here)\n"
	"  --tx LIST            offloads the guest uses when it sends: csum,tso4,tso6,uso or none\n"
	"  --rx LIST            offloads the guest accepts when it receives (both default to "
	"none)\n"
	"  --pid-file FILE      go to the background once both devices are up\n"
	"  --stats-file FILE    SIGUSR1 and the end write statistics (JSON) here, not to stdout\n"
	"Ends on SIGTERM (0) or when a tap vanishes (1).\n";

static void set_option(int c)
{
	switch (c) {
	case 'g':
		opt.guest_netns = optarg;
		break;
	case 'i':
		opt.guest_if = optarg;
		break;
	case 'n':
		opt.switch_netns = optarg;
		break;
	case 's':
		opt.switch_tap = optarg;
		break;
	case 'm':
		opt.mac = optarg;
		break;
	case 'M':
		opt.mtu = (int)parse_number("--mtu", optarg, 65521);
		break;
	case 't':
		opt.tx = parse_offloads(optarg);
		break;
	case 'r':
		opt.rx = parse_offloads(optarg);
		break;
	case 'p':
		opt.pid_file = optarg;
		break;
	case 'S':
		opt.stats_file = optarg;
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"guest-netns", 1, NULL, 'g'},
		{"guest-if", 1, NULL, 'i'}, {"switch-netns", 1, NULL, 'n'},
		{"switch-tap", 1, NULL, 's'}, {"mac", 1, NULL, 'm'}, {"mtu", 1, NULL, 'M'},
		{"tx", 1, NULL, 't'}, {"rx", 1, NULL, 'r'}, {"pid-file", 1, NULL, 'p'},
		{"stats-file", 1, NULL, 'S'}, {"help", 0, NULL, 'h'}, {}};
	int c, signals, guest, host;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set_option(c);
	if (optind != argc || !opt.guest_netns || !opt.switch_tap)
		set_option('h');
	guest = guest_nic();
	host = switch_tap();
	signals = catch_signals();
	if (opt.pid_file)
		go_to_background();
	return run(guest, host, signals);
}
