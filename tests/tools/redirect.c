// SPDX-License-Identifier: BSD-2-Clause
// redirect - the limit of a switch in TC: two devices, each frame of one goes out of the other,
// nothing looked at. Three BPF instructions on a tcx link; ends with the process.
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TCX_INGRESS = 46 }; // enum bpf_attach_type, newer than Debian's headers

static int redirect(unsigned int from, unsigned int to)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = (int)to},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "redirect", "BSD", program,
		sizeof(program) / sizeof(program[0]), NULL);
	if (fd < 0)
		return fd;
	int link = bpf_link_create(fd, (int)from, (enum bpf_attach_type)TCX_INGRESS, NULL);
	return link < 0 ? link : 0;
}

int main(int argc, char **argv)
{
	unsigned int a = argc == 3 ? if_nametoindex(argv[1]) : 0;
	unsigned int b = argc == 3 ? if_nametoindex(argv[2]) : 0;
	if (!a || !b) {
		fprintf(stderr, "usage: redirect DEVICE DEVICE, both in this network namespace\n");
		return 2;
	}
	if (redirect(a, b) < 0 || redirect(b, a) < 0) {
		fprintf(stderr, "redirect: %s (needs root and Linux 6.6)\n", strerror(errno));
		return 2;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
