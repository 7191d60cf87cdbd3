#include <stdlib.h>

void *plugin_make(size_t size) { return malloc(size); }
void plugin_release(void *block) { free(block); }
