/* A struct freed without its members: they are lost because it was freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct person {
    char *first_name;
    char *last_name;
};

static char *copy(const char *text)
{
    char *block = malloc(strlen(text) + 1);
    return block ? strcpy(block, text) : NULL;
}

static struct person *make_person(const char *first, const char *last)
{
    struct person *person = malloc(sizeof *person);
    if (person) {
        person->first_name = copy(first);
        person->last_name = copy(last);
    }
    return person;
}

int main(void)
{
    struct person *person = make_person("Ada", "Lovelace");
    printf("%s %s\n", person->first_name, person->last_name);
    free(person); /* and who frees the names? */
    return 0;
}
