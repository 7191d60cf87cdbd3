/* The arena's call sites: each macro below makes one static record with file,
 * function and line, and passes its address. Written by hand, because cbindgen
 * makes no macros.
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
#ifndef HEAPWARDEN_ARENA_MACROS_H
#define HEAPWARDEN_ARENA_MACROS_H

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

#endif
