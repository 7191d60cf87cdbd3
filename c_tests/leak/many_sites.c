// crime: two hundred call sites, each with its own record, in good time
// origin: issue 2 (a report of 200 sites takes under 2 s), foundationdb 13242
// timeout: 10
// case: crime    | 200 | any leak definite; exit 23; stdout "200 sites"
// case: innocent | 0   | silent
#include "scenario.h"

typedef void *(*maker)(void);

#define ONE(n) static NOINLINE void *make_##n(void) { return malloc(n % 61 + 1); }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
HUNDRED(1)
HUNDRED(2)

#define NAME(n) make_##n,
#define TEN_NAMES(n) NAME(n##0) NAME(n##1) NAME(n##2) NAME(n##3) NAME(n##4) NAME(n##5) NAME(n##6) NAME(n##7) NAME(n##8) NAME(n##9)
#define HUNDRED_NAMES(n) \
    TEN_NAMES(n##0) TEN_NAMES(n##1) TEN_NAMES(n##2) TEN_NAMES(n##3) TEN_NAMES(n##4) \
    TEN_NAMES(n##5) TEN_NAMES(n##6) TEN_NAMES(n##7) TEN_NAMES(n##8) TEN_NAMES(n##9)

static const maker makers[] = {HUNDRED_NAMES(1) HUNDRED_NAMES(2)};

int main(int argc, char **argv) {
    int count = atoi(argv[1]);
    for (int i = 0; i < count; i++) {
        void *block = makers[i]();
        lose(&block);
    }
    printf("%d sites\n", count);
    scrub_stack();
    return 0;
}
