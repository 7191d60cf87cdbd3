/* A plugin with a thread-local variable: its storage is allocated on first use. */
static __thread void *slot;
static __thread char padding[20000];

void **plugin_slot(void) {
    padding[0] = 1;
    return &slot;
}
