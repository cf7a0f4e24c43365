/* Thread-local state, which stable Rust without std cannot have: initial-exec, so that reading it is one instruction and
 * never allocates; small, since it is taken from every thread's stack. Read by src/process/thread.rs. */
struct portcullis_thread {
    void *slot;
    /* The descriptor whose reads are looked at, plus one; 0 for none. */
    int watched;
    /* The hook that goes on in libc; 0 for none. */
    unsigned int straight;
};

_Thread_local struct portcullis_thread portcullis_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
