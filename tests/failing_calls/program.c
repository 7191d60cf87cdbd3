/* A program that uses all of the library: threads, fork, large blocks, a lost
 * block, a crime, and its end. Its memory must be right whatever was refused. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int refused;

/* Blocks of many sizes, filled, grown, looked at, freed. */
static void work(unsigned seed)
{
    enum { COUNT = 64 };
    unsigned char *blocks[COUNT];
    size_t sizes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = i % 16 == 15 ? 300000 : (seed * 7919u + (unsigned)i * 611u) % 9000u + 1;
        blocks[i] = i % 3 ? malloc(sizes[i]) : calloc(1, sizes[i]);
        if (!blocks[i]) {
            refused++;
            continue;
        }
        memset(blocks[i], i, sizes[i]);
        unsigned char *more = realloc(blocks[i], sizes[i] + 5000);
        if (more)
            blocks[i] = more;
        else
            refused++;
    }
    for (int i = 0; i < COUNT; i++) {
        for (size_t at = 0; blocks[i] && at < sizes[i]; at++)
            if (blocks[i][at] != i) {
                printf("byte %zu of block %d was lost\n", at, i);
                exit(3);
            }
        free(blocks[i]);
    }
}

static void *thread(void *seed)
{
    work((unsigned)(size_t)seed);
    return NULL;
}

static void __attribute__((noinline)) lose(void)
{
    char *volatile lost = malloc(123);
    lost = NULL;
    (void)lost;
}

int main(void)
{
    work(1);
    pthread_t threads[2];
    int started = 0;
    for (size_t i = 0; i < 2; i++)
        started += pthread_create(&threads[started], NULL, thread, (void *)(i + 2)) == 0;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pid_t child = fork();
    if (child == 0) {
        work(4);
        _exit(0);
    }
    if (child > 0) {
        int status;
        if (waitpid(child, &status, 0) == child && status != 0) {
            printf("the child ended with %#x\n", status);
            return 4;
        }
    }
    lose();
    volatile char *volatile block = malloc(40);
    if (block) {
        block[40] ^= 1;
        free((void *)block);
    }
    work(5);
    puts("done");
    return 0;
}
