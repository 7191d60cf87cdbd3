// crime: delete through a base class without a virtual destructor: the sizes differ
// origin: AddressSanitizer new-delete-type-mismatch, hardened_malloc delete_type_size_mismatch
// flags: -std=c++17 -Wno-delete-non-virtual-dtor -Wno-non-virtual-dtor
// case: crime    | base    | error new-delete-type-mismatch size 64; exit 23
// case: innocent | derived | silent
#include "scenario.h"

struct Base { long a; };
struct Derived : Base { char more[56]; };

int main(int argc, char **argv) {
    Derived *object = static_cast<Derived *>(opaque(new Derived()));
    if (!strcmp(argv[1], "base")) delete static_cast<Base *>(object);
    else delete object;
    return 0;
}
