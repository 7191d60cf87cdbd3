// crime: a method of a deleted object is called through its virtual table
// origin: issue 3 (4)
// case: virtual-call | 1 | error heap-use-after-free size 24 frame 0 call has-freed release; signal SIGSEGV
// case: innocent     | 0 | silent
// flags: -O1
#include "scenario.h"

struct Base {
    long numbers[2] = {1, 2};
    virtual long number() const { return numbers[0]; }
    virtual ~Base() {}
};

extern "C" NOINLINE long call(const Base *object) { return object->number(); }
extern "C" NOINLINE void release(Base *object) { delete object; }

int main(int argc, char **argv) {
    Base *object = static_cast<Base *>(opaque(new Base));
    CHECK(call(object) == 1);
    release(object);
    if (argv[1][0] == '1') opaque_size((size_t)call(static_cast<Base *>(opaque(object))));
    return 0;
}
