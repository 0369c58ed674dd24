// SPDX-License-Identifier: BSD-2-Clause
// shipped.h - what weft ships for labs: the lab files, and the script that makes guest images
#pragma once

#include "topo/lab/lab.h"

/*
 * A file or folder of weft's folder `topo`: that of $WEFT_TOPO, else of the checkout in which
 * weftlab was built, else of where it is installed. false: there is none.
 */
bool shipped_path(const char *file, char path[PATH_MAX]);

// Where a thing made from them is kept: beside weftlab, or, where that is installed, in
// /var/cache/weft.
void shipped_cache(const char *file, char path[PATH_MAX]);

// lab_load of a file; a word that names none and has no slash is the lab that weft ships by that
// name. lab_free in any case.
int shipped_load(struct lab *lab, const char *word, const char *engine);
