// crime: a call stack that the program's unwinder finds otherwise is told by stack_check, in one warning
// note: the program brings the unwinder: libgcc's, which leaves out the caller of work() when it is to lie
// flags: -O1 -rdynamic
// baseline: no
// case: planted | lie 100   | warning stack-mismatch count 1 message "frame 1 " frame 0 work frame 1 main; exit 0
// options: stack_check=1
// case: seldom  | lie 10    | warning stack-mismatch count 1; exit 0
// options: stack_check=7
// case: shallow | lie 0     | silent
// options: stack_check=1:stack_depth=0
// case: honest  | truth 100 | silent
// options: stack_check=1
// case: off     | lie 0     | silent
#include "scenario.h"
#include <dlfcn.h>
#include <unwind.h>

static _Unwind_Reason_Code (*real_backtrace)(_Unwind_Trace_Fn, void *);
static _Unwind_Ptr (*real_ip)(struct _Unwind_Context *, int *);
static _Unwind_Word (*real_cfa)(struct _Unwind_Context *);
static _Unwind_Ptr left_out;
static int asked;

typedef struct { _Unwind_Trace_Fn function; void *argument; } visitor_t;

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *visitor) {
    visitor_t *to = visitor;
    int before = 0;
    if (real_ip(context, &before) == left_out) return _URC_NO_REASON;
    return to->function(context, to->argument);
}

_Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn function, void *argument) {
    visitor_t to = {function, argument};
    asked++;
    return real_cfa == NULL ? _URC_END_OF_STACK : real_backtrace(visit, &to);
}
_Unwind_Ptr _Unwind_GetIPInfo(struct _Unwind_Context *context, int *before) {
    return real_ip(context, before);
}
_Unwind_Word _Unwind_GetCFA(struct _Unwind_Context *context) { return real_cfa(context); }

static NOINLINE void work(int lies) {
    if (lies) left_out = (_Unwind_Ptr)__builtin_return_address(0);
    for (int i = 0; i < 50; i++) free(opaque(malloc(opaque_size(40))));
    left_out = 0;
}

int main(int argc, char **argv) {
    void *gcc = dlopen("libgcc_s.so.1", RTLD_LAZY);
    CHECK(argc > 2 && gcc != NULL);
    *(void **)&real_backtrace = dlsym(gcc, "_Unwind_Backtrace");
    *(void **)&real_ip = dlsym(gcc, "_Unwind_GetIPInfo");
    *(void **)&real_cfa = dlsym(gcc, "_Unwind_GetCFA");
    CHECK(real_backtrace != NULL && real_ip != NULL && real_cfa != NULL);
    work(!strcmp(argv[1], "lie"));
    /* So many comparisons were made, at least; none where none were asked for. */
    CHECK(atoi(argv[2]) == 0 ? asked == 0 : asked >= atoi(argv[2]));
    return 0;
}
