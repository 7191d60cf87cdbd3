/* A small firmware: three tasks, one of which leaks. Its UART is a log of
 * ordinary lines and of heapwarden's JSON records; on the host,
 *
 *     heapwarden symbolize --elf example.elf uart.log | heapwarden report -
 *
 * names the lines. The scheduler is a loop: what matters is that every block
 * carries the task that asked for it. */
#include "board.h"
#include "heapwarden.h"

typedef struct message {
    struct message *next;
    uint32_t length;
    char text[];
} message_t;

static uint64_t memory[4096] __attribute__((section(".arena.memory")));
static heapwarden_arena_t *heap;
static message_t *volatile queue;
static void *volatile session;
static uint32_t running_task, milliseconds;

static uint32_t task(void *context)
{
    (void)context;
    return running_task;
}

static uint32_t clock(void *context)
{
    (void)context;
    return milliseconds;
}

static heapwarden_arena_answer_t on_event(void *context, const heapwarden_arena_event_t *event)
{
    (void)context;
    heapwarden_arena_report_event(heap, event, board_putc, NULL);
    return HEAPWARDEN_ARENA_ANSWER_CONTINUE;
}

/* A library's malloc: the caller's line is not known, its address is. */
static __attribute__((noinline)) void *library_malloc(size_t size)
{
    return heapwarden_arena_malloc_at(heap, size, HEAPWARDEN_ARENA_CALLER);
}

static __attribute__((noinline)) message_t *receive(uint32_t length)
{
    message_t *message = heapwarden_arena_malloc(heap, sizeof *message + length);

    if (message) {
        message->next = NULL;
        message->length = length;
        memset(message->text, 'a', length);
    }
    return message;
}

static __attribute__((noinline)) void network_task(void)
{
    message_t *message = receive(20 + milliseconds / 50 % 3);

    if (message) {
        message->next = queue;
        queue = message;
    }
}

/* The leak: a message of an odd length is dropped, but not freed. */
static __attribute__((noinline)) void display_task(void)
{
    message_t *message = queue;

    if (!message)
        return;
    queue = message->next;
    message->next = NULL;
    if (message->length % 2 == 0)
        heapwarden_arena_free(heap, message);
}

static __attribute__((noinline)) void storage_task(void)
{
    char *name = library_malloc(12);

    if (milliseconds == 400)
        name[12] = 0; /* one too far: the name has 12 letters */
    if (milliseconds % 500 == 0)
        session = name; /* the one before is forgotten */
    else
        heapwarden_arena_free(heap, name);
}

static __attribute__((noinline)) void check_for_lost_blocks(void)
{
    heapwarden_arena_root_t roots[2];

    roots[0] = (heapwarden_arena_root_t){board_data_start, board_data_end};
    HEAPWARDEN_ARENA_STACK_ROOT(&roots[1], board_stack_top);
    heapwarden_arena_report_lost(heap, roots, 2, board_putc, NULL);
}

int main(void)
{
    static void (*const tasks[])(void) = {network_task, display_task, storage_task};
    heapwarden_arena_config_t config = {
        .on_event = on_event,
        .task = task,
        .clock = clock,
        .poison_window = 32,
        .secret = 0x5eed,
    };

    heap = heapwarden_arena_init(memory, sizeof memory, &config);
    board_print("boot: three tasks\n");
    for (milliseconds = 0; milliseconds < 2000; milliseconds += 50)
        for (running_task = 1; running_task <= 3; running_task++)
            tasks[running_task - 1]();
    running_task = 0;
    board_print("asking for too much\n");
    (void)heapwarden_arena_malloc(heap, 60000);
    board_print("looking for lost blocks\n");
    check_for_lost_blocks();
    board_print("done\n");
    return 0;
}
