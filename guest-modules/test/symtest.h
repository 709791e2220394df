/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SYMTEST_H
#define SYMTEST_H

int symtest_exits_init(void);
void symtest_exits_exit(void);

#endif
