/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making text from a guest safe to print.
 */
#ifndef VMM_CORE_TEXT_H
#define VMM_CORE_TEXT_H

/*
 * text_sanitize - make @text one line that is safe to print on a terminal, in place:
 * control characters (C0, DEL and, in UTF-8, C1) become '?'; a byte that is not part of
 * valid UTF-8 does too.
 */
void text_sanitize(char *text);

#endif
