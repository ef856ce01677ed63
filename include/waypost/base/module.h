/* Modules of the program itself: libraries too dear, or of too strict a licence, to be linked for
 * everybody. */
#pragma once

/* The object `symbol` of the module FILE, whose first member is an unsigned that must be `version`:
 * looked for beside the program, in the folder above it (the build tree) and in the installed
 * place; the first one found decides. NULL with a reason in errbuf. What has been opened is never
 * closed. Any thread. */
const void *wp_module_open(const char *file, const char *symbol, unsigned version,
                           char errbuf[256]);
