/* The least of FreeRTOS that its heap_4.c asks for: one task, no hooks, no
 * assertions, the heap where peer.c says. */
#ifndef FREERTOS_H
#define FREERTOS_H

#include <stddef.h>
#include <stdint.h>

#define configSUPPORT_DYNAMIC_ALLOCATION 1
#define configAPPLICATION_ALLOCATED_HEAP 1
#define configUSE_MALLOC_FAILED_HOOK 0
#define configENABLE_HEAP_PROTECTOR 0
#define configASSERT(condition)
#define portBYTE_ALIGNMENT 8
#define portBYTE_ALIGNMENT_MASK 7
#define portPOINTER_SIZE_TYPE uint32_t
#define portMAX_DELAY 0xffffffffu
#define PRIVILEGED_DATA
#define PRIVILEGED_FUNCTION
#define mtCOVERAGE_TEST_MARKER()
#define traceMALLOC(pointer, size)
#define traceFREE(pointer, size)
#define taskENTER_CRITICAL()
#define taskEXIT_CRITICAL()
#define vTaskSuspendAll()
#define xTaskResumeAll() 0

typedef long BaseType_t;
typedef struct {
    size_t xAvailableHeapSpaceInBytes, xSizeOfLargestFreeBlockInBytes, xSizeOfSmallestFreeBlockInBytes,
        xNumberOfFreeBlocks, xMinimumEverFreeBytesRemaining, xNumberOfSuccessfulAllocations,
        xNumberOfSuccessfulFrees;
} HeapStats_t;

#endif
