/* C: a static function, aliases, a common symbol, thread-local data. */
#include <stdlib.h>

int shared_counter;
static int hidden_counter = 3;
_Thread_local int own_counter = 4;
char table[100] = "x";

static __attribute__((noinline)) void *make(size_t size) {
    hidden_counter++;
    return malloc(size);
}
void *__impl_twin(size_t size) { return make(size + 1); }
void *twin(size_t size) __attribute__((alias("__impl_twin")));

int main(void) {
    void *block = twin(10);
    shared_counter += block != 0;
    own_counter += table[1];
    free(block);
    return 0;
}
