// crime: objects, arrays and containers are lost; operator new stands in the stack above its caller
// origin: interface.md 4, LLVM lsan C++ tests
// case: new       | 1 | leak definite 1 blocks 40 bytes frame 0 lose_object @object
// case: new[]     | 2 | leak definite 1 blocks 400 bytes frame 0 lose_array @array
// case: string    | 3 | leak definite 1 blocks 32 bytes has-frame lose_string; leak indirect 1 blocks 501 bytes has-frame lose_string
// case: vector    | 4 | leak definite 1 blocks 24 bytes has-frame lose_vector; leak indirect 1 blocks 400 bytes has-frame lose_vector
// case: innocent  | 0 | silent
#include "scenario.h"
#include <string>
#include <vector>

struct Thing { char bytes[40]; };

extern "C" NOINLINE void lose_object() {
    void *lost = new Thing; /* @object */
    lose(&lost);
}

extern "C" NOINLINE void lose_array() {
    void *lost = new Thing[10]; /* @array */
    lose(&lost);
}

extern "C" NOINLINE void lose_string() {
    void *lost = new std::string(500, 'x');
    lose(&lost);
}

extern "C" NOINLINE void lose_vector() {
    void *lost = new std::vector<int>(100, 7);
    lose(&lost);
}

int main(int argc, char **argv) {
    switch (atoi(argv[1])) {
    case 1: lose_object(); break;
    case 2: lose_array(); break;
    case 3: lose_string(); break;
    case 4: lose_vector(); break;
    }
    delete static_cast<Thing *>(opaque(new Thing));
    scrub_stack();
    return 0;
}
