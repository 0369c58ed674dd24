// SPDX-License-Identifier: BSD-2-Clause
// Who may open a tap or a socket: numbers, or names of the host's user and group database.
#include "daemon/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include "daemon/object.h"

static bool find_user(const char *text, uid_t *uid)
{
	char *end;
	*uid = (uid_t)strtoul(text, &end, 10);
	if (!*end)
		return true;
	const struct passwd *user = getpwnam(text);
	if (user)
		*uid = user->pw_uid;
	return user != NULL;
}

static bool find_group(const char *text, gid_t *gid)
{
	char *end;
	*gid = (gid_t)strtoul(text, &end, 10);
	if (!*end)
		return true;
	const struct group *group = getgrnam(text);
	if (group)
		*gid = group->gr_gid;
	return group != NULL;
}

int owner_read(const json_t *spec, struct owner *owner, struct failure *failure)
{
	*owner = (struct owner){
		.user = spec_text(spec, "owner", NULL),
		.group = spec_text(spec, "group", NULL),
	};
	if (owner->user && !find_user(owner->user, &owner->uid))
		return fail(failure, -ENOENT, "not_found", "owner %s: there is no such user",
			owner->user);
	if (owner->group && !find_group(owner->group, &owner->gid))
		return fail(failure, -ENOENT, "not_found", "group %s: there is no such group",
			owner->group);
	return 0;
}
