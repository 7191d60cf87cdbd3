/* A test's words: expect(what, whether), and an exit code at the end. */
#ifndef EXPECT_H
#define EXPECT_H

#include "board.h"

static int failures;

static void expect_at(int line, const char *what, int whether)
{
    if (whether)
        return;
    failures++;
    board_print("FAIL line ");
    board_print_number((uint32_t)line);
    board_print(": ");
    board_print(what);
    board_print("\n");
}

#define expect(condition) expect_at(__LINE__, #condition, (condition) != 0)

static int verdict(const char *name)
{
    board_print(failures ? "FAILED " : "passed ");
    board_print(name);
    board_print("\n");
    return failures ? 1 : 0;
}

#endif
