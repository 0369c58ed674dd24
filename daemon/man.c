// SPDX-License-Identifier: BSD-2-Clause
// The manual page weftctl(8), made from the command table.

#include "daemon/command_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/value.h"

static const char head[] =
	".TH WEFTCTL 8 \"\" \"weft " WEFT_VERSION "\"\n"
	".SH NAME\n"
	"weftctl \\- control the virtual switch weft\n"
	".SH SYNOPSIS\n"
	".B weftctl\n"
	"[\\fB\\-s\\fR \\fISOCKET\\fR] [\\fB\\-j\\fR] [\\fB\\-\\-timeout\\fR \\fISECONDS\\fR] "
	"\\fIOBJECT\\fR \\fIVERB\\fR [\\fINAME\\fR] [\\fIkey value\\fR ...]\n"
	".SH DESCRIPTION\n"
	"weftctl sends its words to weftd and prints the answer. The verb\n"
	".B show\n"
	"may be left out.\n"
	".B set\n"
	"changes only the words that are given; a list takes +X and \\-X; the value\n"
	".B none\n"
	"(or\n"
	".BR default ,\n"
	"where there is one) takes back what was given.\n"
	".SH OPTIONS\n"
	".TP\n.BI \\-s \" SOCKET\"\n"
	"the socket of weftd; else $WEFT_SOCKET, else /run/weft/weftd.sock. Given more than once, "
	"a\n"
	"command that answers in lines runs at all of them at the same time, and each line begins\n"
	"with the host's name (with \\-j: has it as\n"
	".BR host );\n"
	"other commands are refused. What several hosts see of the packets of\n"
	".B path ... measure\n"
	"and\n"
	".B path ... request\n"
	"is joined to one way, and what they see of those of\n"
	".B trace\n"
	"is put in the order of time\n"
	".TP\n.B \\-j\n"
	"JSON: show is always an array of objects; failures are an object on standard error. An\n"
	"answer in lines is one object a line, each printed when it comes\n"
	".TP\n.BI \\-\\-timeout \" SECONDS\"\n"
	"give up if no answer has come after this time (default 60); the lines of an answer that "
	"has\n"
	"begun may take longer\n"
	".SH EXIT STATUS\n"
	"0 done; 1 refused; 2 wrong words; 3 no weftd answers; 4 done in part, or timed out. Of\n"
	"several sockets: that of all, or 4 if they differ\n"
	".SH COMMANDS\n";

static const char tail[] = ".SH SEE ALSO\n.BR weftd (8)\n";

// A leading dot or an apostrophe would be a request, a backslash an escape.
static void put(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void put_argument(FILE *out, const struct argument *a)
{
	char form[160];

	value_form(a, form, sizeof(form));
	fputs(".RS\n.TP\n", out);
	if (!(a->flags & ARGUMENT_POSITIONAL)) {
		fputs("\\fB", out);
		put(out, a->word);
		fputs("\\fR ", out);
	}
	fputs("\\fI", out);
	put(out, a->flags & ARGUMENT_POSITIONAL && a->kind != ARGUMENT_CHOICE ? a->word : form);
	fputs("\\fR\n", out);
	put(out, a->help);
	if (a->fallback)
		fprintf(out, " (default %s)", a->fallback);
	if (a->flags & ARGUMENT_REQUIRED)
		fputs(" (required)", out);
	fputs("\n.RE\n", out);
}

char *help_man(void)
{
	char *text = NULL;
	size_t size, count;
	FILE *out = open_memstream(&text, &size);
	const struct command *table = command_table(&count);
	char title[96];

	fputs(head, out);
	for (size_t i = 0; i < count; i++) {
		command_title(&table[i], title, sizeof(title));
		fprintf(out, ".TP\n.B %s\n", title);
		put(out, table[i].help);
		fputc('\n', out);
		for (const struct argument *a = table[i].arguments; a && a->word; a++)
			put_argument(out, a);
	}
	fputs(tail, out);
	fclose(out);
	return text;
}
