/* The fixed-arena heap for devices without an OS: docs/embedded.md.
 * Made by cbindgen from src/arena; tests/embedded_header.rs keeps it so. */

#ifndef HEAPWARDEN_ARENA_H
#define HEAPWARDEN_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 What the event handler wants done.
 */
enum heapwarden_arena_answer_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /*
   Go on: the call returns null (exhaustion) or does what can still be done.
   */
  HEAPWARDEN_ARENA_ANSWER_CONTINUE = 0,
  /*
   Stop the machine with a trap instruction.
   */
  HEAPWARDEN_ARENA_ANSWER_ABORT = 1,
  /*
   Exhaustion only: try once more, memory has been given back.
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

/*
 What happened. The names in reports are AddressSanitizer's.
 */
enum heapwarden_arena_violation_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /*
   Nothing wrong.
   */
  HEAPWARDEN_ARENA_VIOLATION_NONE = 0,
  /*
   No free block is large enough for the request.
   */
  HEAPWARDEN_ARENA_VIOLATION_EXHAUSTED = 1,
  /*
   The pointer's block is already free.
   */
  HEAPWARDEN_ARENA_VIOLATION_DOUBLE_FREE = 2,
  /*
   The pointer is not one that this heap gave out: outside of all regions,
   not aligned, or inside a live block.
   */
  HEAPWARDEN_ARENA_VIOLATION_INVALID_FREE = 3,
  /*
   Bytes after a payload were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_OVERFLOW = 4,
  /*
   Bytes just before a payload were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_UNDERFLOW = 5,
  /*
   A free block's bytes were overwritten.
   */
  HEAPWARDEN_ARENA_VIOLATION_USE_AFTER_FREE = 6,
  /*
   A header makes no sense, and neither neighbour explains it.
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

/*
 How a block is held; the names in reports are Valgrind's.
 */
enum heapwarden_arena_leak_kind_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /*
   No pointer to it is left.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_DEFINITE = 0,
  /*
   A pointer to its start was found.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_REACHABLE = 1,
  /*
   Only pointers to its inside were found.
   */
  HEAPWARDEN_ARENA_LEAK_KIND_POSSIBLE = 2,
  /*
   Only lost blocks point to it.
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

/*
 A heap inside a buffer; only its address is the program's business.
 */
typedef struct heapwarden_arena_t heapwarden_arena_t;

/*
 One event, valid during the handler's call only.
 */
typedef struct {
  /*
   What happened.
   */
  heapwarden_arena_violation_t kind;
  /*
   The pointer given to the call, or the first damaged byte or word.
   */
  uintptr_t address;
  /*
   Call site of the call that noticed, as in [`ArenaBlock::site`].
   */
  uintptr_t site;
  /*
   Bytes asked for (exhaustion).
   */
  uintptr_t requested;
  /*
   Payload of the live block concerned, for `heapwarden_arena_block_of`;
   0 = none. A block that is being freed is freed after the handler's return.
   */
  uintptr_t block;
} heapwarden_arena_event_t;

/*
 How a heap meets its firmware. All zeros is valid: no handler, no lock, one
 task, no clock, poison window 0.
 */
typedef struct {
  /*
   Called with the lock released, so it may use the heap. Null: events are
   dropped and the call goes on as after [`ArenaAnswer::Continue`].
   */
  heapwarden_arena_answer_t (*on_event)(void *context, const heapwarden_arena_event_t *event);
  /*
   Enters the critical section around every operation; null: none needed.
   */
  void (*lock)(void *context);
  /*
   Leaves it.
   */
  void (*unlock)(void *context);
  /*
   Number of the running task, 0 to 255.
   */
  uint32_t (*task)(void *context);
  /*
   Milliseconds since power-on, wrapping; null: ages count allocations.
   */
  uint32_t (*clock)(void *context);
  /*
   Handed to every function above.
   */
  void *context;
  /*
   Bytes at the start of a freed block that are poisoned and verified: 0,
   32 (constant time), or `SIZE_MAX` for all of it.
   */
  uintptr_t poison_window;
  /*
   Anything the program's bugs cannot guess, best a new random number at
   every start; 0 is replaced by a constant.
   */
  uintptr_t secret;
  /*
   Size of the largest region that will ever be added, in bytes; 0 = the
   first one. What a region has more than that stays unused.
   */
  uintptr_t largest_region;
} heapwarden_arena_config_t;

/*
 Where a walk goes on; all zeros = at the beginning.
 */
typedef struct {
  uintptr_t region;
  uintptr_t block;
} heapwarden_arena_cursor_t;

/*
 What is known of one block.
 */
typedef struct {
  /*
   What malloc returned; 0 when no block is concerned.
   */
  uintptr_t address;
  /*
   Bytes asked for (bare mode: bytes available).
   */
  uintptr_t size;
  /*
   Address of an [`ArenaSite`], or a return address with bit 0 set, or 0.
   */
  uintptr_t site;
  /*
   Milliseconds since its allocation, in steps of 256; without a clock,
   allocations since its own.
   */
  uint32_t age;
  /*
   The task that asked for it, as the configuration's `task` said.
   */
  uint32_t task;
} heapwarden_arena_block_t;

/*
 What walks call for each block. The heap is locked: it must not be used.
 */
typedef void (*heapwarden_arena_visitor_t)(void *context, const heapwarden_arena_block_t *block);

/*
 Memory that may hold pointers: `.data` and `.bss`, stacks, retained RAM.
 */
typedef struct {
  /*
   First byte; rounded up to a word.
   */
  const void *start;
  /*
   First byte after it.
   */
  const void *end;
} heapwarden_arena_root_t;

/*
 Lost blocks of one call site and kind.
 */
typedef struct {
  /*
   How they are held.
   */
  heapwarden_arena_leak_kind_t kind;
  /*
   How many.
   */
  uint32_t blocks;
  /*
   Bytes asked for, together.
   */
  uintptr_t bytes;
  /*
   The one met first; `first.site` is the site of all.
   */
  heapwarden_arena_block_t first;
} heapwarden_arena_leak_t;

/*
 How much there is of one kind.
 */
typedef struct {
  /*
   Blocks.
   */
  uintptr_t blocks;
  /*
   Bytes asked for.
   */
  uintptr_t bytes;
} heapwarden_arena_leak_count_t;

/*
 How much there is of each [`ArenaLeakKind`], by its number.
 */
typedef struct {
  /*
   Indexed by [`ArenaLeakKind`].
   */
  heapwarden_arena_leak_count_t kinds[4];
} heapwarden_arena_leak_totals_t;

/*
 Live blocks of one call site.
 */
typedef struct {
  /*
   As in [`ArenaBlock::site`].
   */
  uintptr_t site;
  /*
   How many.
   */
  uint32_t blocks;
  /*
   Bytes asked for.
   */
  uintptr_t bytes;
} heapwarden_arena_site_total_t;

/*
 The heap in numbers. Bytes count whole blocks with their headers, except
 where they are "asked for".
 */
typedef struct {
  /*
   Bytes of all blocks, live and free.
   */
  uintptr_t total_bytes;
  /*
   Bytes of free blocks.
   */
  uintptr_t free_bytes;
  /*
   The least `free_bytes` has been since `reset_least_free`.
   */
  uintptr_t least_free_bytes;
  /*
   The largest request that would surely be met now.
   */
  uintptr_t largest_free;
  /*
   Bytes asked for by live blocks.
   */
  uintptr_t live_bytes;
  /*
   Bytes of live blocks beyond what was asked for.
   */
  uintptr_t overhead_bytes;
  /*
   Live blocks.
   */
  uint32_t live_blocks;
  /*
   Successful allocations, wrapping.
   */
  uint32_t allocations;
  /*
   Requests that could not be met.
   */
  uint32_t failures;
  /*
   Violations reported, exhaustion not among them.
   */
  uint32_t violations;
} heapwarden_arena_statistics_t;

/*
 Puts out one character.
 */
typedef void (*heapwarden_arena_putc_t)(void *context, char character);

/*
 Where a block was asked for: one static record a call site, made by the
 header's macros (C) or by [`site!`](crate::site) (Rust).
 */
typedef struct {
  /*
   File name, zero-terminated.
   */
  const char *file;
  /*
   Function name, zero-terminated.
   */
  const char *function;
  /*
   Line number, from 1.
   */
  uint32_t line;
} heapwarden_arena_site_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Builds a heap at the start of `memory` and gives it the rest, `length` bytes
 in all. Returns null when that is too small. `config` is copied; null means
 all zeros.

 # Safety
 Nothing else uses the memory from now on; the functions in `config` may be
 called at any time.
 */
heapwarden_arena_t *heapwarden_arena_init(void *memory,
                                          uintptr_t length,
                                          const heapwarden_arena_config_t *config);

/*
 Gives another stretch of memory to the heap: external RAM, a second bank.
 Too short a stretch is ignored.

 # Safety
 Nothing else uses the memory from now on.
 */
void heapwarden_arena_add_region(heapwarden_arena_t *heap, void *memory, uintptr_t length);

/*
 `size` bytes for the call site `site`, or null. A size of 0 gives a unique
 pointer that can be freed. Constant time.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_malloc_at(heapwarden_arena_t *heap, uintptr_t size, const void *site);

/*
 As `heapwarden_arena_malloc_at`, for `count` times `size` bytes, all zero. A
 product that does not fit is an exhaustion of `SIZE_MAX` bytes.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_calloc_at(heapwarden_arena_t *heap,
                                 uintptr_t count,
                                 uintptr_t size,
                                 const void *site);

/*
 As `heapwarden_arena_malloc_at`, at a multiple of `alignment`. Null without
 an event when `alignment` is not a power of two.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_aligned_alloc_at(heapwarden_arena_t *heap,
                                        uintptr_t alignment,
                                        uintptr_t size,
                                        const void *site);

/*
 Changes the size of the block at `pointer` where it stands if possible, else
 moves it; the block then belongs to `site`. Null pointer: as malloc. Size 0:
 frees and returns null. When there is no room the block stays as it was.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void *heapwarden_arena_realloc_at(heapwarden_arena_t *heap,
                                  void *pointer,
                                  uintptr_t size,
                                  const void *site);

/*
 Gives a block back. Null does nothing. Constant time with a poison window
 of at most 32 bytes.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void heapwarden_arena_free_at(heapwarden_arena_t *heap, void *pointer, const void *site);

/*
 Exactly the size that was asked for (bare mode: the size available); 0 when
 `pointer` is not a live block.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_usable_size(heapwarden_arena_t *heap, const void *pointer);

/*
 Checks every block and raises an event for each violation, which is then
 mended; returns their number.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_check(heapwarden_arena_t *heap);

/*
 Checks the block at `pointer` and its two neighbours.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
uintptr_t heapwarden_arena_check_block(heapwarden_arena_t *heap, void *pointer);

/*
 Checks at most `blocks` blocks from `cursor` on, for an idle task; the
 cursor starts as all zeros and is so again when the end was reached.

 # Safety
 `heap` came from `heapwarden_arena_init`; `cursor` is the caller's.
 */
uintptr_t heapwarden_arena_check_slice(heapwarden_arena_t *heap,
                                       heapwarden_arena_cursor_t *cursor,
                                       uintptr_t blocks);

/*
 Calls `visit` for every live block.

 # Safety
 `heap` came from `heapwarden_arena_init`; `visit` may be called.
 */
void heapwarden_arena_walk(heapwarden_arena_t *heap,
                           heapwarden_arena_visitor_t visit,
                           void *context);

/*
 A moment in the heap's life, for `heapwarden_arena_live_since`.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
uint32_t heapwarden_arena_mark(heapwarden_arena_t *heap);

/*
 Calls `visit` for every live block allocated since `mark` and at least
 `least_age` milliseconds old (without a clock: allocations ago).

 # Safety
 `heap` came from `heapwarden_arena_init`; `visit` may be called.
 */
void heapwarden_arena_live_since(heapwarden_arena_t *heap,
                                 uint32_t mark,
                                 uint32_t least_age,
                                 heapwarden_arena_visitor_t visit,
                                 void *context);

/*
 Looks for blocks that no pointer in `roots` leads to, without any memory of
 its own. `visit`, which may be null, is called once for each call site and
 kind of lost, possibly lost and indirectly lost blocks; `totals`, which may
 be null, gets the blocks and bytes of each kind.

 # Safety
 `heap` came from `heapwarden_arena_init`; the `count` roots are readable.
 */
void heapwarden_arena_lost(heapwarden_arena_t *heap,
                           const heapwarden_arena_root_t *roots,
                           uintptr_t count,
                           void (*visit)(void *context, const heapwarden_arena_leak_t *leak),
                           void *context,
                           heapwarden_arena_leak_totals_t *totals);

/*
 Adds up live blocks by call site into `table` of `rows` rows; returns the
 rows used. With more sites than rows, the last row is the rest, site null.

 # Safety
 `heap` came from `heapwarden_arena_init`; `table` has `rows` rows.
 */
uintptr_t heapwarden_arena_summary(heapwarden_arena_t *heap,
                                   heapwarden_arena_site_total_t *table,
                                   uintptr_t rows);

/*
 The heap in numbers; walks it once.

 # Safety
 `heap` came from `heapwarden_arena_init`; `statistics` is the caller's.
 */
void heapwarden_arena_statistics(heapwarden_arena_t *heap,
                                 heapwarden_arena_statistics_t *statistics);

/*
 Starts `least_free_bytes` anew from what is free now.

 # Safety
 `heap` came from `heapwarden_arena_init`.
 */
void heapwarden_arena_reset_least_free(heapwarden_arena_t *heap);

/*
 The live block that `address` lies in; false when there is none.

 # Safety
 `heap` came from `heapwarden_arena_init`; `block` is the caller's.
 */
bool heapwarden_arena_block_of(heapwarden_arena_t *heap,
                               const void *address,
                               heapwarden_arena_block_t *block);

/*
 Writes an event as a JSON record, one line, through `putc`. For use in the
 event handler.

 # Safety
 `heap` came from `heapwarden_arena_init`; `event` is the handler's; `putc`
 may be called.
 */
void heapwarden_arena_report_event(heapwarden_arena_t *heap,
                                   const heapwarden_arena_event_t *event,
                                   heapwarden_arena_putc_t putc,
                                   void *context);

/*
 As `heapwarden_arena_lost`, but writes a JSON record for each call site and
 a summary through `putc`; the lock is held while the leaks are written.
 Returns the number of blocks that no root leads to.

 # Safety
 `heap` came from `heapwarden_arena_init`; the `count` roots are readable;
 `putc` may be called.
 */
uintptr_t heapwarden_arena_report_lost(heapwarden_arena_t *heap,
                                       const heapwarden_arena_root_t *roots,
                                       uintptr_t count,
                                       heapwarden_arena_putc_t putc,
                                       void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HEAPWARDEN_ARENA_H */

#include "heapwarden_arena_macros.h"
