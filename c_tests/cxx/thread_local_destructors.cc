// innocent: destructors of C++ thread-locals allocate, free and create further thread-locals
// origin: scenarios.md 2 row 5, snmalloc multi_threadatexit, EXIT-01
// flags: -std=c++17
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

struct Late {
    std::vector<int> content = std::vector<int>(1000, 1);
    ~Late() {
        std::string more(5000, 'x');
        delete[] static_cast<char *>(opaque(new char[70000]));
    }
};

static thread_local Late *late_pointer;

struct Early {
    std::string text = std::string(300, 'e');
    ~Early() {
        static thread_local Late late;
        late_pointer = &late;
        free(opaque(malloc(123)));
    }
};

static thread_local Early early;
static pthread_key_t key;

static void destroy(void *block) {
    free(block);
    delete static_cast<std::string *>(opaque(new std::string(100, 'k')));
}

int main() {
    CHECK(pthread_key_create(&key, destroy) == 0);
    for (int i = 0; i < 50; i++) {
        std::thread thread([] {
            early.text += "used";
            pthread_setspecific(key, malloc(50));
        });
        thread.join();
    }
    early.text += "by main too";
    return 0;
}
