/* A library that has the beacon of the guard in its data, as crates/policy/src/beacon.rs describes it, and the role of a master. */
static unsigned char role = 1;
static void *policy, *shared;
static unsigned long counters[1024] = {1, 1000, 1000, 0, 0, 0, 0, 0, 1000, 1000, 1000};

static struct {
    char magic[16], version[16];
    void *role, *policy, *shared, *own;
} beacon __attribute__((aligned(8), used)) = {"portcullis/bcn1", "9.9.9-forged", &role, &policy, &shared, counters};
