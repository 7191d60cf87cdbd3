#include <map>
#include <string>

static std::map<int, std::string> remembered;

extern "C" std::string *make_text(int extra) {
    static std::string first(100, 'f');
    thread_local std::string local(200, 'l');
    return new std::string(1000 + static_cast<unsigned>(extra), local[0]);
}

extern "C" void *make_bytes(size_t size) { return operator new(size); }
extern "C" void release_bytes(void *bytes) { operator delete(bytes); }
