// crime: lost structures: what each lost block holds is summed as a tree
// origin: issue 4 ("person 32 B holds 3 blocks, 72 B")
// case: person   | person 1  | leak definite 1 blocks 32 bytes frame 0 make_person at holds.blocks 3 at holds.bytes 72 at tree.0.depth 1 at tree.0.bytes 48 at tree.0.blocks 2 stack-of tree.0 make_name lacks tree.0.holds at tree.1.bytes 24 stack-of tree.1 make_address lacks tree.2; leak indirect 2 blocks 48 bytes frame 0 make_name at parent.size 32 stack-of parent make_person; leak indirect 1 blocks 24 bytes frame 0 make_address stack-of parent make_person
// case: street   | street 10 | leak definite 10 blocks 320 bytes at holds.blocks 40 at holds.bytes 1720 at tree.0.depth 1 stack-of tree.0 make_address at tree.0.bytes 240 at tree.0.holds.bytes 1000 at tree.1.depth 2 stack-of tree.1 make_street at tree.1.blocks 10 at tree.2.depth 1 stack-of tree.2 make_name at tree.2.bytes 480 lacks tree.3; leak indirect 20 blocks 480 bytes frame 0 make_name; leak indirect 10 blocks 240 bytes frame 0 make_address; leak indirect 10 blocks 1000 bytes frame 0 make_street stack-of parent make_address
// case: list     | list 500  | leak definite 1 blocks 32 bytes at holds.blocks 499 at holds.bytes 15968 at tree.0.depth 1 at tree.0.blocks 499 stack-of tree.0 make_person lacks tree.1; leak indirect 499 blocks 15968 bytes frame 0 make_person
// case: text     | street 10 | exit 23; stderr "Lost with them: 1.6 KiB in 40 block(s)"; stderr "    240 bytes in 10 block(s), holding 1000 bytes in 10, from: make_address < "; stderr "      1000 bytes in 10 block(s), from: make_street < "
// report: off
// case: innocent | person 1 free | silent
#include "scenario.h"

struct address {
    char *street;
    char bytes[16];
};
struct person {
    char *names[2];
    struct address *address;
    struct person *next;
};

static NOINLINE char *make_name(void) { return opaque(calloc(1, 24)); }
static NOINLINE char *make_street(void) { return opaque(calloc(1, 100)); }
static NOINLINE struct address *make_address(void) { return opaque(calloc(1, sizeof(struct address))); }
static NOINLINE struct person *make_person(void) { return opaque(calloc(1, sizeof(struct person))); }

static NOINLINE void scene(const char *what, int count, int release) {
    struct person *last = NULL;
    for (int i = 0; i < count; i++) {
        struct person *person = make_person();
        if (strcmp(what, "list")) {
            for (size_t name = 0; name < opaque_size(2); name++) person->names[name] = make_name();
            person->address = make_address();
            if (!strcmp(what, "street")) person->address->street = make_street();
        } else {
            person->next = last;
            last = person;
        }
        if (release) {
            free(person->names[0]);
            free(person->names[1]);
            free(person->address);
            free(person);
        }
        lose(&person);
    }
    lose(&last);
}

int main(int argc, char **argv) {
    scene(argv[1], atoi(argv[2]), argc > 3);
    scrub_stack();
    return 0;
}
