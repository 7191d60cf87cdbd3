/* heapwarden: a malloc in which every block has an owner.
 *
 * A program needs this header only to ask and to tell: malloc and its family
 * work without it. Compile with -DHEAPWARDEN_DISABLED and all of it turns into
 * nothing, so that the program builds and runs without the library.
 *
 * Devices without an OS: the heapwarden_arena functions, at the end.
 *
 * Made by cbindgen from src/abi and src/arena; do not edit. */

#ifndef HEAPWARDEN_H
#define HEAPWARDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef HEAPWARDEN_DISABLED

#ifdef __cplusplus
extern "C" {
#endif

/** Checks for leaks now, in a forked copy, while the program goes on. Returns 1
 * if leaks were found and reported, 0 if not, -1 if the check could not be
 * done. */
int heapwarden_check_leaks(void);

/** The same, for blocks allocated since a mark of heapwarden_mark: for unit
 * tests, `assert(heapwarden_leaks_since(mark) == 0)`. */
int heapwarden_leaks_since(uint64_t mark);

/** Marks a block that the program's own pool gave out, in memory of any kind: leak
 * checks take it for a block of its own, with this call's stack, and read the
 * pool without it. Marked blocks must not overlap. A pointer to a marked block
 * keeps its pool too; a lost pool is told instead of the lost blocks in it.
 * Costs about a malloc. Returns 0, or -1 without room (196,608 marks). */
int heapwarden_malloc_like(const void *block, size_t bytes);

/** Takes a mark of heapwarden_malloc_like back: the pool has the block again.
 * Returns 0, or -1 when there was none. */
int heapwarden_free_like(const void *block);

/** Takes back all marks that begin in a range: the pool was emptied at once.
 * Looks through all marks. Returns how many there were. */
size_t heapwarden_free_like_all(const void *start, size_t bytes);

/** Defined by the program, if it likes: its own defaults for the options, in
 * the form of HEAPWARDEN_OPTIONS. Called before main, perhaps before the first
 * constructor: return a constant. */
const char *heapwarden_default_options(void);

/** Defined by the program, if it likes: suppressions, one a line, in
 * LeakSanitizer's format. Return a constant. */
const char *heapwarden_default_suppressions(void);

#ifdef __cplusplus
}
#endif


/**
 * The limit that heapwarden_set_heap_limit takes for "as the system says":
 * the smallest of the control group's, RLIMIT_AS, RLIMIT_DATA and physical
 * memory.
 */
#define HEAPWARDEN_LIMIT_AUTO ~0

/**
 * Where a block is in its life.
 */
typedef enum heapwarden_state_t {
  /**
   * The program's.
   */
  HEAPWARDEN_LIVE = 1,
  /**
   * Freed, and held back from reuse.
   */
  HEAPWARDEN_HELD = 2,
  /**
   * Freed, and ready for reuse.
   */
  HEAPWARDEN_FREE = 3,
} heapwarden_state_t;

/**
 * What the ledger knows of a block.
 */
typedef struct heapwarden_block_t {
  /**
   * Its first byte.
   */
  void *address;
  /**
   * Bytes that were asked for; 0 for free blocks, whose size is forgotten.
   */
  size_t size;
  /**
   * Where it is in its life.
   */
  enum heapwarden_state_t state;
  /**
   * 1 malloc, 2 aligned_alloc and its kin, 3 new, 4 new[], 5 aligned new,
   * 6 aligned new[]; 0 for free blocks.
   */
  uint8_t family;
  /**
   * The thread that allocated it: 1 is the first of the process; 0 unknown.
   */
  uint32_t thread;
  /**
   * Milliseconds since it was allocated.
   */
  uint64_t age_ms;
  /**
   * About how many allocations the process had made before it.
   */
  uint64_t sequence;
  /**
   * The call stack that allocated it (heapwarden_stack).
   */
  uint32_t allocated_by;
  /**
   * The call stack that freed it; 0 for live blocks or when unknown.
   */
  uint32_t freed_by;
} heapwarden_block_t;

/**
 * Called with each block of a walk; not 0 ends it.
 */
typedef int32_t (*heapwarden_block_visitor)(const struct heapwarden_block_t *block,
                                            void *argument);

/**
 * What one call site holds.
 */
typedef struct heapwarden_site_t {
  /**
   * The call stack (heapwarden_stack).
   */
  uint32_t stack;
  /**
   * Live blocks.
   */
  uint64_t blocks;
  /**
   * Live bytes asked for.
   */
  uint64_t bytes;
} heapwarden_site_t;

/**
 * Called with each call site of a walk; not 0 ends it.
 */
typedef int32_t (*heapwarden_site_visitor)(const struct heapwarden_site_t *site, void *argument);

/**
 * Figures of the whole heap.
 */
typedef struct heapwarden_statistics_t {
  /**
   * Bytes that the program asked for and has not freed.
   */
  size_t live_bytes;
  /**
   * Allocations made so far.
   */
  uint64_t allocations;
  /**
   * Bytes of freed blocks held back from reuse.
   */
  size_t held_bytes;
  /**
   * Bytes of memory in slabs and spans, now and at the most.
   */
  size_t in_use_bytes;
  /**
   * See in_use_bytes.
   */
  size_t peak_bytes;
  /**
   * Bytes of address space for records, stacks and tables.
   */
  size_t metadata_bytes;
  /**
   * The limit in force in bytes; 0 = none.
   */
  size_t limit_bytes;
  /**
   * Misuses reported so far.
   */
  uint64_t errors;
  /**
   * Threads that have allocated and live.
   */
  uint32_t threads;
} heapwarden_statistics_t;

/**
 * Called when an allocation of `size` bytes found no memory, before it fails.
 *
 * It may free memory and return nonzero: then the allocation is tried again,
 * and the handler is called again if there is still too little, as with
 * C++'s new_handler. Returning 0 lets the allocation fail: it is reported,
 * and returns NULL with ENOMEM. The handler runs in the thread that
 * allocates and may allocate itself; those allocations do not call it.
 */
typedef int (*heapwarden_exhaustion_handler_t)(size_t size);

/**
 * Which allocations fail on purpose. All zero: none.
 *
 * `size_above` and `site` choose the allocations that count; `nth`, `every`,
 * `after` and `rate` choose among those, and without any of the four all of
 * them fail. realloc counts when it grows a block.
 */
typedef struct heapwarden_failing_t {
  /**
   * The Nth allocation fails, from 1; 0 = none.
   */
  uint64_t nth;
  /**
   * Every Nth allocation fails; 0 = none.
   */
  uint64_t every;
  /**
   * The Nth allocation and all after it fail; 0 = none.
   */
  uint64_t after;
  /**
   * On average one allocation in N fails; 0 = none.
   */
  uint64_t rate;
  /**
   * Where the random series of `rate` begins.
   */
  uint64_t seed;
  /**
   * Only allocations of more bytes count; 0 = of any size.
   */
  uint64_t size_above;
  /**
   * Only allocations with this function in their call stack count: its
   * name as the program's file has it, C++ without the arguments; NULL =
   * all. Needs `symbolize=1`.
   */
  const char *site;
} heapwarden_failing_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Tells what lies at an address, which may be any number: it is not followed.
 * Returns 1 and fills `block` (unless it is NULL) when the address is in a
 * block, live or freed, or 0.
 */
int32_t heapwarden_describe(const void *address, struct heapwarden_block_t *block);

/**
 * Writes up to `count` return addresses of a call stack to `frames`, the
 * caller of malloc first; returns how many.
 */
size_t heapwarden_stack(uint32_t stack, void **frames, size_t count);

/**
 * Calls `visit` with every live block, in the order of addresses. The visitor
 * may allocate and free; blocks that come or go meanwhile may be missed.
 */
void heapwarden_walk_blocks(heapwarden_block_visitor visit, void *argument);

/**
 * Calls `visit` with every call site that holds live blocks, largest first.
 * Returns how many sites were left out for want of memory.
 */
size_t heapwarden_walk_sites(heapwarden_site_visitor visit, void *argument);

/**
 * Fills in figures of the whole heap.
 */
void heapwarden_statistics(struct heapwarden_statistics_t *figures);

/**
 * Checks every guard and every freed byte that is still held, and reports
 * damage. Returns how many blocks were damaged.
 */
size_t heapwarden_check_heap(void);

/**
 * Sets a mark: heapwarden_leaks_since and heapwarden_live_since look only at
 * blocks that are allocated after it. Costs about a microsecond a thread.
 */
uint64_t heapwarden_mark(void);

/**
 * Counts live blocks that were allocated since a mark, reachable or not, and
 * adds their bytes to `*bytes` (unless it is NULL).
 */
uint64_t heapwarden_live_since(uint64_t mark, uint64_t *bytes);

/**
 * Marks a block so that leak checks take it, and what it points to, as
 * needed. Returns 0, or -1 when the address is not the start of a live block.
 */
int32_t heapwarden_ignore(const void *block);

/**
 * From here on, blocks that this thread allocates are ignored by leak checks,
 * until as many calls of heapwarden_enable. Calls nest.
 */
void heapwarden_disable(void);

/**
 * Ends the scope that the last heapwarden_disable of this thread began.
 */
void heapwarden_enable(void);

/**
 * Lets leak checks look for pointers in memory that is not the heap's: an
 * mmap of the program's own, for example. Returns 0, or -1 without room.
 */
int32_t heapwarden_register_root_region(const void *start, size_t bytes);

/**
 * Takes one heapwarden_register_root_region with the same values back.
 * Returns 0, or -1 when there was none.
 */
int32_t heapwarden_unregister_root_region(const void *start, size_t bytes);

/**
 * Tells leak checks which bits of this program's tagged pointers are the
 * address: each word is also tried with the other bits cleared, so that
 * 0x0000ffffffffffff finds pointers with a tag in the upper 16 bits and
 * ~(uintptr_t)7 those with one in the lower three. 0 ends that. Returns the
 * mask before; the option pointer_mask does the same from the start on.
 */
size_t heapwarden_pointer_mask(size_t mask);

/**
 * Sets the handler for exhaustion; NULL = none. Returns the one before.
 * Any thread may call it at any time.
 */
heapwarden_exhaustion_handler_t heapwarden_set_exhaustion_handler(heapwarden_exhaustion_handler_t handler);

/**
 * Sets how many bytes of memory the heap may use, as `heap_limit_mb` does:
 * blocks, the gaps between them, freed blocks held back, and metadata.
 * 0 = no limit. A limit below what is in use refuses everything new.
 */
void heapwarden_set_heap_limit(size_t bytes);

/**
 * Lets allocations fail from now on as `failing` says, and begins to count
 * anew; NULL ends it. Returns 0, or -1 if the site's name is longer than 255
 * bytes; then nothing changes. Replaces what the options said.
 *
 * # Safety
 * `failing` is NULL or points to a whole structure, and its `site` is NULL or
 * points to a string.
 */
int heapwarden_fail_allocations(const struct heapwarden_failing_t *failing);

/**
 * How many allocations counted since failing began, and in `*failed`, if it
 * is not NULL, how many of them were made to fail.
 *
 * # Safety
 * `failed` is NULL or points to where a number may be written.
 */
uint64_t heapwarden_counted_allocations(uint64_t *failed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#else /* HEAPWARDEN_DISABLED */

#define heapwarden_check_leaks() 0
#define heapwarden_leaks_since(mark) ((void)(mark), 0)
#define heapwarden_check_heap() ((size_t)0)
#define heapwarden_mark() ((uint64_t)0)
#define heapwarden_live_since(mark, bytes) ((void)(mark), (void)(bytes), (uint64_t)0)
#define heapwarden_describe(address, block) ((void)(address), (void)(block), 0)
#define heapwarden_stack(stack, frames, count) ((void)(stack), (void)(frames), (size_t)0)
#define heapwarden_walk_blocks(visit, argument) ((void)(visit), (void)(argument))
#define heapwarden_walk_sites(visit, argument) ((void)(visit), (void)(argument), (size_t)0)
#define heapwarden_statistics(figures) ((void)(figures))
#define heapwarden_ignore(block) ((void)(block), 0)
#define heapwarden_disable() ((void)0)
#define heapwarden_enable() ((void)0)
#define heapwarden_register_root_region(start, bytes) ((void)(start), (void)(bytes), 0)
#define heapwarden_unregister_root_region(start, bytes) ((void)(start), (void)(bytes), 0)
#define heapwarden_malloc_like(block, bytes) ((void)(block), (void)(bytes), 0)
#define heapwarden_free_like(block) ((void)(block), 0)
#define heapwarden_free_like_all(start, bytes) ((void)(start), (void)(bytes), (size_t)0)
#define heapwarden_pointer_mask(mask) ((void)(mask), (size_t)0)
#define heapwarden_set_exhaustion_handler(handler) ((void)(handler))
#define heapwarden_set_heap_limit(bytes) ((void)(bytes))
#define heapwarden_fail_allocations(failing) ((void)(failing), 0)
#define heapwarden_counted_allocations(failed) ((void)(failed), (uint64_t)0)

#endif /* HEAPWARDEN_DISABLED */

/* The fixed-arena heap for devices without an OS, libheapwarden.a of `make
 * embedded`: docs/embedded.md. Made by cbindgen from src/arena. */

/**
 * What the event handler wants done.
 */
enum heapwarden_arena_answer_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Go on: the call returns null (exhaustion) or does what can still be done.
   */
  HEAPWARDEN_ARENA_ANSWER_CONTINUE = 0,
  /**
   * Stop the machine with a trap instruction.
   */
  HEAPWARDEN_ARENA_ANSWER_ABORT = 1,
  /**
   * Exhaustion only: try once more, memory has been given back.
   */
  HEAPWARDEN_ARENA_ANSWER_RETRY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum heapwarden_arena_answer_t heapwarden_arena_answer_t;
#else
typedef uint32_t heapwarden_arena_answer_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What happened. The names in reports are AddressSanitizer's.
 */
enum heapwarden_arena_violation_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing wrong.
   */
  HEAPWARDEN_ARENA_VIOLATION_NONE = 0,
  /**
   * No free block is large enough for the request.
   */
  HEAPWARDEN_ARENA_VIOLATION_EXHAUSTED = 1,
  /**
   * The pointer's block is already free.
   */
  HEAPWARDEN_ARENA_VIOLATION_DOUBLE_FREE = 2,
  /**
   * The pointer is not one that this heap gave out: outside of all regions,
   * not aligned, or inside a live block.
   */
  HEAPWARDEN_ARENA_VIOLATION_INVALID_FREE = 3,
  /**
   * Bytes after a payload were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_OVERFLOW = 4,
  /**
   * Bytes just before a payload were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_UNDERFLOW = 5,
  /**
   * A free block's bytes were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_USE_AFTER_FREE = 6,
  /**
   * A header makes no sense, and neither neighbour explains it.
   */
  HEAPWARDEN_ARENA_VIOLATION_CORRUPT = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum heapwarden_arena_violation_t heapwarden_arena_violation_t;
#else
typedef uint32_t heapwarden_arena_violation_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a block is held; the names in reports are Valgrind's.
 */
enum heapwarden_arena_leak_kind_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * No pointer to it is left.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_DEFINITE = 0,
  /**
   * A pointer to its start was found.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_REACHABLE = 1,
  /**
   * Only pointers to its inside were found.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_POSSIBLE = 2,
  /**
   * Only lost blocks point to it.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_INDIRECT = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum heapwarden_arena_leak_kind_t heapwarden_arena_leak_kind_t;
#else
typedef uint32_t heapwarden_arena_leak_kind_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A heap inside a buffer; only its address is the program's business.
 */
typedef struct heapwarden_arena_t heapwarden_arena_t;

/**
 * One event, valid during the handler's call only.
 */
typedef struct heapwarden_arena_event_t {
  /**
   * What happened.
   */
  heapwarden_arena_violation_t kind;
  /**
   * The pointer given to the call, or the first damaged byte or word.
   */
  uintptr_t address;
  /**
   * Payload of the live block concerned, for `heapwarden_arena_block_of`;
   * 0 = none. A block that is being freed is freed after the handler's return.
   */
  uintptr_t block;
  /**
   * Call site of the call that noticed, as in [`ArenaBlock::site`].
   */
  uintptr_t site;
  /**
   * Bytes asked for by the call that noticed; 0 = it asks for none.
   */
  uintptr_t requested;
} heapwarden_arena_event_t;

/**
 * How a heap meets its firmware. All zeros is valid: no handler, no lock, one
 * task, no clock, poison window 0.
 */
typedef struct heapwarden_arena_config_t {
  /**
   * Called with the lock released, so it may use the heap. Null: events are
   * dropped and the call goes on as after [`ArenaAnswer::Continue`].
   */
  heapwarden_arena_answer_t (*on_event)(void *context,
                                        const struct heapwarden_arena_event_t *event);
  /**
   * Enters the critical section around every operation; null: none needed.
   */
  void (*lock)(void *context);
  /**
   * Leaves it.
   */
  void (*unlock)(void *context);
  /**
   * Number of the running task, 0 to 255.
   */
  uint32_t (*task)(void *context);
  /**
   * Milliseconds since power-on, wrapping; null: ages count allocations.
   */
  uint32_t (*clock)(void *context);
  /**
   * Handed to every function above.
   */
  void *context;
  /**
   * Bytes at the start of a freed block that are poisoned and verified: 0,
   * 32 (constant time), or `SIZE_MAX` for all of it.
   */
  uintptr_t poison_window;
  /**
   * Anything the program's bugs cannot guess, best a new random number at
   * every start; 0 is replaced by a constant.
   */
  uintptr_t secret;
  /**
   * Size of the largest region that will ever be added, in bytes; 0 = the
   * first one. What a region has more than that stays unused.
   */
  uintptr_t largest_region;
} heapwarden_arena_config_t;

/**
 * Where a walk goes on; all zeros = at the beginning.
 */
typedef struct heapwarden_arena_cursor_t {
  /**
   * The block that comes next, or the end of the region just left.
   */
  uintptr_t block;
} heapwarden_arena_cursor_t;

/**
 * What is known of one block.
 */
typedef struct heapwarden_arena_block_t {
  /**
   * What malloc returned; 0 when no block is concerned.
   */
  uintptr_t address;
  /**
   * Bytes asked for (bare mode: bytes available).
   */
  uintptr_t size;
  /**
   * Address of an [`ArenaSite`], or a return address with bit 0 set, or 0.
   */
  uintptr_t site;
  /**
   * Milliseconds since its allocation, in steps of 256; without a clock,
   * allocations since its own.
   */
  uint32_t age;
  /**
   * The task that asked for it, as the configuration's `task` said.
   */
  uint32_t task;
} heapwarden_arena_block_t;

/**
 * What walks call for each block. The heap is locked: it must not be used.
 */
typedef void (*heapwarden_arena_visitor_t)(void *context,
                                           const struct heapwarden_arena_block_t *block);

/**
 * Memory that may hold pointers: `.data` and `.bss`, stacks, retained RAM.
 */
typedef struct heapwarden_arena_root_t {
  /**
   * First byte; rounded up to a word.
   */
  const void *start;
  /**
   * First byte after it.
   */
  const void *end;
} heapwarden_arena_root_t;

/**
 * Lost blocks of one call site and kind.
 */
typedef struct heapwarden_arena_leak_t {
  /**
   * How they are held.
   */
  heapwarden_arena_leak_kind_t kind;
  /**
   * How many.
   */
  uint32_t blocks;
  /**
   * Bytes asked for, together.
   */
  uintptr_t bytes;
  /**
   * The one met first; `first.site` is the site of all.
   */
  struct heapwarden_arena_block_t first;
} heapwarden_arena_leak_t;

/**
 * How much there is of one kind.
 */
typedef struct heapwarden_arena_leak_count_t {
  /**
   * Blocks.
   */
  uintptr_t blocks;
  /**
   * Bytes asked for.
   */
  uintptr_t bytes;
} heapwarden_arena_leak_count_t;

/**
 * How much there is of each [`ArenaLeakKind`], by its number.
 */
typedef struct heapwarden_arena_leak_totals_t {
  /**
   * Indexed by [`ArenaLeakKind`].
   */
  struct heapwarden_arena_leak_count_t kinds[4];
} heapwarden_arena_leak_totals_t;

/**
 * Live blocks of one call site.
 */
typedef struct heapwarden_arena_site_total_t {
  /**
   * As in [`ArenaBlock::site`].
   */
  uintptr_t site;
  /**
   * How many.
   */
  uint32_t blocks;
  /**
   * Bytes asked for.
   */
  uintptr_t bytes;
} heapwarden_arena_site_total_t;

/**
 * The heap in numbers. Bytes count whole blocks with their headers, except
 * where they are "asked for".
 */
typedef struct heapwarden_arena_statistics_t {
  /**
   * Bytes of all blocks, live and free.
   */
  uintptr_t total_bytes;
  /**
   * Bytes of free blocks.
   */
  uintptr_t free_bytes;
  /**
   * The least `free_bytes` has been since `reset_least_free`.
   */
  uintptr_t least_free_bytes;
  /**
   * The largest request that would surely be met now.
   */
  uintptr_t largest_free;
  /**
   * Bytes asked for by live blocks.
   */
  uintptr_t live_bytes;
  /**
   * Bytes of live blocks beyond what was asked for.
   */
  uintptr_t overhead_bytes;
  /**
   * Live blocks.
   */
  uint32_t live_blocks;
  /**
   * Successful allocations, wrapping.
   */
  uint32_t allocations;
  /**
   * Requests that could not be met.
   */
  uint32_t failures;
  /**
   * Violations reported, exhaustion not among them.
   */
  uint32_t violations;
} heapwarden_arena_statistics_t;

/**
 * Puts out one character.
 */
typedef void (*heapwarden_arena_putc_t)(void *context, char character);

/**
 * Where a block was asked for: one static record a call site, made by the
 * header's macros (C) or by [`site!`](crate::site) (Rust).
 */
typedef struct heapwarden_arena_site_t {
  /**
   * File name, zero-terminated.
   */
  const char *file;
  /**
   * Function name, zero-terminated.
   */
  const char *function;
  /**
   * Line number, from 1.
   */
  uint32_t line;
} heapwarden_arena_site_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Builds a heap at the start of `memory` and gives it the rest, `length` bytes
 * in all. Returns null when that is too small. `config` is copied; null means
 * all zeros.
 *
 * # Safety
 * Nothing else uses the memory from now on; the functions in `config` may be
 * called at any time.
 */
struct heapwarden_arena_t *heapwarden_arena_init(void *memory,
                                                 uintptr_t length,
                                                 const struct heapwarden_arena_config_t *config);

/**
 * Gives another stretch of memory to the heap: external RAM, a second bank.
 * Too short a stretch is ignored.
 *
 * # Safety
 * Nothing else uses the memory from now on.
 */
void heapwarden_arena_add_region(struct heapwarden_arena_t *heap,
                                 void *memory,
                                 uintptr_t length);

/**
 * Checks every block and raises an event for each violation, which is then
 * mended; returns their number.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_check(struct heapwarden_arena_t *heap);

/**
 * Checks the block at `pointer` and its two neighbours.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_check_block(struct heapwarden_arena_t *heap, void *pointer);

/**
 * Checks at most `blocks` blocks from `cursor` on, for an idle task; the
 * cursor starts as all zeros and is so again when the end was reached.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `cursor` is the caller's.
 */
uintptr_t heapwarden_arena_check_slice(struct heapwarden_arena_t *heap,
                                       struct heapwarden_arena_cursor_t *cursor,
                                       uintptr_t blocks);

/**
 * Calls `visit` for every live block.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `visit` may be called.
 */
void heapwarden_arena_walk(struct heapwarden_arena_t *heap,
                           heapwarden_arena_visitor_t visit,
                           void *context);

/**
 * A moment in the heap's life, for `heapwarden_arena_live_since`.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
uint32_t heapwarden_arena_mark(struct heapwarden_arena_t *heap);

/**
 * Calls `visit` for every live block allocated since `mark` and at least
 * `least_age` milliseconds old (without a clock: allocations ago).
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `visit` may be called.
 */
void heapwarden_arena_live_since(struct heapwarden_arena_t *heap,
                                 uint32_t mark,
                                 uint32_t least_age,
                                 heapwarden_arena_visitor_t visit,
                                 void *context);

/**
 * Looks for blocks that no pointer in `roots` leads to, without any memory of
 * its own. `visit`, which may be null, is called once for each call site and
 * kind of lost, possibly lost and indirectly lost blocks; `totals`, which may
 * be null, gets the blocks and bytes of each kind.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; the `count` roots are readable.
 */
void heapwarden_arena_lost(struct heapwarden_arena_t *heap,
                           const struct heapwarden_arena_root_t *roots,
                           uintptr_t count,
                           void (*visit)(void *context,
                                         const struct heapwarden_arena_leak_t *leak),
                           void *context,
                           struct heapwarden_arena_leak_totals_t *totals);

/**
 * Adds up live blocks by call site into `table` of `rows` rows; returns the
 * rows used. With more sites than rows, the last row is the rest, site null.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `table` has `rows` rows.
 */
uintptr_t heapwarden_arena_summary(struct heapwarden_arena_t *heap,
                                   struct heapwarden_arena_site_total_t *table,
                                   uintptr_t rows);

/**
 * The heap in numbers; walks it once.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `statistics` is the caller's.
 */
void heapwarden_arena_statistics(struct heapwarden_arena_t *heap,
                                 struct heapwarden_arena_statistics_t *statistics);

/**
 * Starts `least_free_bytes` anew from what is free now.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void heapwarden_arena_reset_least_free(struct heapwarden_arena_t *heap);

/**
 * The live block that `address` lies in; false when there is none.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `block` is the caller's.
 */
bool heapwarden_arena_block_of(struct heapwarden_arena_t *heap,
                               const void *address,
                               struct heapwarden_arena_block_t *block);

/**
 * `size` bytes for the call site `site`, or null. A size of 0 gives a unique
 * pointer that can be freed. Constant time.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_malloc_at(struct heapwarden_arena_t *heap,
                                 uintptr_t size,
                                 const void *site);

/**
 * As `heapwarden_arena_malloc_at`, for `count` times `size` bytes, all zero. A
 * product that does not fit is an exhaustion of `SIZE_MAX` bytes.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_calloc_at(struct heapwarden_arena_t *heap,
                                 uintptr_t count,
                                 uintptr_t size,
                                 const void *site);

/**
 * As `heapwarden_arena_malloc_at`, at a multiple of `alignment`. Null without
 * an event when `alignment` is not a power of two.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_aligned_alloc_at(struct heapwarden_arena_t *heap,
                                        uintptr_t alignment,
                                        uintptr_t size,
                                        const void *site);

/**
 * Changes the size of the block at `pointer` where it stands if possible, else
 * moves it; the block then belongs to `site`. Null pointer: as malloc. Size 0:
 * frees and returns null. When there is no room the block stays as it was.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_realloc_at(struct heapwarden_arena_t *heap,
                                  void *pointer,
                                  uintptr_t size,
                                  const void *site);

/**
 * Gives a block back. Null does nothing. Constant time with a poison window
 * of at most 32 bytes.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
void heapwarden_arena_free_at(struct heapwarden_arena_t *heap, void *pointer, const void *site);

/**
 * Exactly the size that was asked for (bare mode: the size available); 0 when
 * `pointer` is not a live block.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_usable_size(struct heapwarden_arena_t *heap, const void *pointer);

/**
 * Writes an event as a JSON record, one line, through `putc`. For use in the
 * event handler.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; `event` is the handler's; `putc`
 * may be called.
 */
void heapwarden_arena_report_event(struct heapwarden_arena_t *heap,
                                   const struct heapwarden_arena_event_t *event,
                                   heapwarden_arena_putc_t putc,
                                   void *context);

/**
 * As `heapwarden_arena_lost`, but writes a JSON record for each call site and
 * a summary through `putc`; the lock is held while the leaks are written.
 * Returns the number of blocks that no root leads to.
 *
 * # Safety
 * `heap` came from `heapwarden_arena_init`; the `count` roots are readable;
 * `putc` may be called.
 */
uintptr_t heapwarden_arena_report_lost(struct heapwarden_arena_t *heap,
                                       const struct heapwarden_arena_root_t *roots,
                                       uintptr_t count,
                                       heapwarden_arena_putc_t putc,
                                       void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* The arena's call sites: each macro below makes one static record with file,
 * function and line, and passes its address.
 *
 *   void *p = heapwarden_arena_malloc(heap, 24);
 *
 * A drop-in malloc cannot see its caller's line; it keeps the return address,
 * which the host tool resolves from the ELF file:
 *
 *   void *malloc(size_t size)
 *   {
 *       return heapwarden_arena_malloc_at(heap, size, HEAPWARDEN_ARENA_CALLER);
 *   }
 *
 * Needs statement expressions: GCC, Clang, Arm Compiler 6, IAR, or their C++. */

#define HEAPWARDEN_ARENA_HERE                                                                      \
    (__extension__({                                                                               \
        static const heapwarden_arena_site_t heapwarden_arena_site = {__FILE__, __func__,          \
                                                                      __LINE__};                   \
        (const void *)&heapwarden_arena_site;                                                      \
    }))

/* Bit 0 tells a return address from a record. */
#define HEAPWARDEN_ARENA_CALLER                                                                    \
    ((const void *)((uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)) | 1))

#define heapwarden_arena_malloc(heap, size)                                                        \
    heapwarden_arena_malloc_at((heap), (size), HEAPWARDEN_ARENA_HERE)
#define heapwarden_arena_calloc(heap, count, size)                                                 \
    heapwarden_arena_calloc_at((heap), (count), (size), HEAPWARDEN_ARENA_HERE)
#define heapwarden_arena_aligned_alloc(heap, alignment, size)                                      \
    heapwarden_arena_aligned_alloc_at((heap), (alignment), (size), HEAPWARDEN_ARENA_HERE)
#define heapwarden_arena_realloc(heap, pointer, size)                                              \
    heapwarden_arena_realloc_at((heap), (pointer), (size), HEAPWARDEN_ARENA_HERE)
#define heapwarden_arena_free(heap, pointer)                                                       \
    heapwarden_arena_free_at((heap), (pointer), HEAPWARDEN_ARENA_HERE)

/* Saves the registers that a function must preserve in the frame of the caller
 * of this macro, and fills `root` with the running stack, from that frame up to
 * `stack_top`: a pointer that lives only in a register is found too. */
#define HEAPWARDEN_ARENA_STACK_ROOT(root, stack_top)                                               \
    do {                                                                                           \
        __builtin_unwind_init();                                                                   \
        uintptr_t volatile heapwarden_arena_frame = 0;                                             \
        (root)->start = (const void *)((uintptr_t)&heapwarden_arena_frame & ~(uintptr_t)15);       \
        (root)->end = (stack_top);                                                                 \
    } while (0)

#endif /* HEAPWARDEN_H */
