/* heapwarden: a malloc in which every block has an owner.
 *
 * A program needs this header only to ask and to tell: malloc and its family
 * work without it. Compile with -DHEAPWARDEN_DISABLED and all of it turns into
 * nothing, so that the program builds and runs without the library.
 *
 * Made by cbindgen from src/abi/own.rs; do not edit. */

#ifndef HEAPWARDEN_H
#define HEAPWARDEN_H

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

#endif  /* HEAPWARDEN_H */

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
#define heapwarden_pointer_mask(mask) ((void)(mask), (size_t)0)
#define heapwarden_set_exhaustion_handler(handler) ((void)(handler))
#define heapwarden_set_heap_limit(bytes) ((void)(bytes))
#define heapwarden_fail_allocations(failing) ((void)(failing), 0)
#define heapwarden_counted_allocations(failed) ((void)(failed), (uint64_t)0)

#endif /* HEAPWARDEN_DISABLED */
