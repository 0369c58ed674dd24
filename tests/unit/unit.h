// SPDX-License-Identifier: BSD-2-Clause
// What every cmocka test includes first.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/failure.h" // before cmocka.h, which has a macro named fail
#include <cmocka.h>
