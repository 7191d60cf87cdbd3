/* Makes a block as the first argument says and releases it as the second does. */
#ifndef EVERY_FAMILY_H
#define EVERY_FAMILY_H

#include "scenario.h"
#include <new>

static const std::align_val_t alignment{64};

extern "C" NOINLINE void *make(const char *how) {
    if (!strcmp(how, "malloc")) return malloc(48);
    if (!strcmp(how, "calloc")) return calloc(6, 8);
    if (!strcmp(how, "new")) return operator new(48);
    if (!strcmp(how, "new[]")) return operator new[](48);
    if (!strcmp(how, "nnew")) return operator new(48, std::nothrow);
    if (!strcmp(how, "nnew[]")) return operator new[](48, std::nothrow);
    if (!strcmp(how, "anew")) return operator new(48, alignment);
    if (!strcmp(how, "anew[]")) return operator new[](48, alignment);
    CHECK(!"such a way");
    return nullptr;
}

extern "C" NOINLINE void release(void *block, const char *how) {
    if (!strcmp(how, "free")) free(block);
    else if (!strcmp(how, "realloc")) free(opaque(realloc(block, 100)));
    else if (!strcmp(how, "delete")) operator delete(block);
    else if (!strcmp(how, "delete[]")) operator delete[](block);
    else if (!strcmp(how, "sdelete")) operator delete(block, 48);
    else if (!strcmp(how, "sdelete[]")) operator delete[](block, 48);
    else if (!strcmp(how, "adelete")) operator delete(block, alignment);
    else if (!strcmp(how, "adelete[]")) operator delete[](block, alignment);
    else if (!strcmp(how, "sadelete")) operator delete(block, 48, alignment);
    else CHECK(!"such a way");
}

int main(int argc, char **argv) {
    release(opaque(make(argv[1])), argv[2]);
    return 0;
}

#endif
