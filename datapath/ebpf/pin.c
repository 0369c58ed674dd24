// SPDX-License-Identifier: BSD-2-Clause
// Pins: where they may lie, how one replaces another, who is there.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

static const char *const directories[] = {"tables", "links", "filters", "xdp", "observe"};

const char *ebpf_why(const char *format, ...)
{
	static char sentence[512];
	va_list words;
	va_start(words, format);
	vsnprintf(sentence, sizeof(sentence), format, words);
	va_end(words);
	return sentence;
}

void ebpf_pin_path(char path[EBPF_PATH_BYTES], const struct engine *engine, const char *dir,
	const char *format, ...)
{
	va_list words;
	int n = snprintf(path, EBPF_PATH_BYTES, "%s/%s/", engine->pin_dir, dir);
	va_start(words, format);
	vsnprintf(path + n, EBPF_PATH_BYTES - (size_t)n, format, words);
	va_end(words);
}

int ebpf_pin_replace(int fd, const char *path)
{
	char next[EBPF_PATH_BYTES + sizeof(EBPF_NEW)];
	snprintf(next, sizeof(next), "%s" EBPF_NEW, path);
	unlink(next);
	if (bpf_obj_pin(fd, next))
		return -errno;
	if (rename(next, path) == 0)
		return 0;
	int error = -errno;
	unlink(next);
	return error;
}

// Reads all names first: the kernel's order of a directory that shrinks is not to be relied on.
void ebpf_pin_each(const struct engine *engine, const char *dir,
	void (*fn)(struct engine *engine, const char *name, void *context), void *context)
{
	char path[EBPF_PATH_BYTES];
	struct dirent **names;
	ebpf_pin_path(path, engine, dir, "%s", "");
	int count = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.')
			fn((struct engine *)engine, names[i]->d_name, context);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

struct pin_prune {
	bool (*wanted)(struct engine *engine, u32 ifindex);
	void (*detach)(struct engine *engine, u32 ifindex);
};

static void prune(struct engine *engine, const char *name, void *context)
{
	const struct pin_prune *p = context;
	u32 ifindex = (u32)strtoul(name, NULL, 10);
	if (!p->wanted || !p->wanted(engine, ifindex))
		p->detach(engine, ifindex);
}

void ebpf_pin_prune(struct engine *engine, const char *dir,
	bool (*wanted)(struct engine *engine, u32 ifindex),
	void (*detach)(struct engine *engine, u32 ifindex))
{
	struct pin_prune p = {wanted, detach};
	ebpf_pin_each(engine, dir, prune, &p);
}

// Is a mount of this filesystem seen by process 1? If not, pins die with the caller's mounts.
static bool outlives_us(dev_t device)
{
	char line[2 * PATH_MAX];
	bool found = false;
	FILE *mounts = fopen("/proc/1/mountinfo", "re");
	if (!mounts) {
		log_warn("cannot tell whether pins will last: /proc/1/mountinfo: %m");
		return true;
	}
	while (!found && fgets(line, sizeof(line), mounts)) {
		unsigned int major_number, minor_number;
		found = sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) == 2 &&
			makedev(major_number, minor_number) == device;
	}
	fclose(mounts);
	return found;
}

static int check_filesystem(const char *pin_dir, const char *existing, const char **why)
{
	struct statfs filesystem;
	struct stat status;
	if (statfs(existing, &filesystem) || stat(existing, &status)) {
		int error = -errno;
		*why = ebpf_why("cannot use %s: %s", existing, strerror(errno));
		return error;
	}
	if (filesystem.f_type != BPF_FS_MAGIC) {
		*why = ebpf_why(
			"%s is not on a BPF filesystem: mount one (mount -t bpf bpf "
			"/sys/fs/bpf) or name another with --bpf-dir; under `ip netns exec` "
			"/sys is private, start weftd with `nsenter --net=/run/netns/NAME` "
			"instead",
			pin_dir);
		return -ENOENT;
	}
	if (!outlives_us(status.st_dev)) {
		*why = ebpf_why("the BPF filesystem at %s is in a private mount namespace and "
				"forwarding would end with it: start weftd with `nsenter "
				"--net=/run/netns/NAME` instead of `ip netns exec`, or name a BPF "
				"filesystem of the host with --bpf-dir",
			pin_dir);
		return -ENOENT;
	}
	return 0;
}

static int make_directory(const char *path, const char **why)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	int error = -errno;
	const char *hint = strchr(path, '.') ? " (a BPF filesystem refuses names with dots)" : "";
	*why = ebpf_why("cannot make %s: %s%s", path, strerror(errno), hint);
	return error;
}

int ebpf_pin_prepare(const char *pin_dir, const char **why)
{
	char path[EBPF_PATH_BYTES];
	size_t length = strlen(pin_dir);
	if (pin_dir[0] != '/' || length + NAME_MAX >= sizeof(path)) {
		*why = ebpf_why("%s: the BPF directory must be an absolute path", pin_dir);
		return -EINVAL;
	}
	memcpy(path, pin_dir, length + 1);
	while (length > 1 && access(path, F_OK)) { // up to what exists
		while (length > 1 && path[length - 1] != '/')
			length--;
		path[length > 1 ? --length : 1] = '\0';
	}
	int error = check_filesystem(pin_dir, path, why);
	while (!error && pin_dir[length]) { // and down again
		length += 1 + strcspn(pin_dir + length + 1, "/");
		memcpy(path, pin_dir, length);
		path[length] = '\0';
		error = make_directory(path, why);
	}
	for (size_t i = 0; !error && i < WEFT_ARRAY_SIZE(directories); i++) {
		snprintf(path + length, sizeof(path) - length, "/%s", directories[i]);
		error = make_directory(path, why);
	}
	return error;
}

// The directory above goes too when no other weftd uses it; a mount point stays by itself.
void ebpf_pin_remove_directories(const char *pin_dir)
{
	char path[EBPF_PATH_BYTES];
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(directories); i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, directories[i]);
		rmdir(path);
	}
	if (rmdir(pin_dir))
		log_warn("%s stays: %m", pin_dir);
	snprintf(path, sizeof(path), "%s", pin_dir);
	char *slash = strrchr(path, '/');
	if (slash > path) {
		*slash = '\0';
		rmdir(path);
	}
}
