/* Runs a command under a filter of its own: `outer listener CMD...` has a listener already, so that no other can be made;
 * under `outer none CMD...` the kernel knows no listeners; `outer kill-seccomp CMD...` and `outer kill-borrow CMD...` end whoever
 * calls seccomp or pidfd_getfd, as SystemCallFilter=@system-service does, `outer kill-pidfd CMD...` whoever calls pidfd_open,
 * `outer kill-capset CMD...` capset, and `outer kill-write CMD...` process_vm_writev. `outer kill=NUMBER CMD...` ends whoever makes that
 * system call, under `outer fail=NUMBER CMD...` it fails. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 98;
    int listener = !strcmp(argv[1], "listener");
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof nothing / sizeof *nothing, nothing};
    if (!listener)
        program = (struct sock_fprog){sizeof refuse / sizeof *refuse, refuse};
    int number = !strcmp(argv[1], "kill-seccomp") ? SYS_seccomp : !strcmp(argv[1], "kill-pidfd") ? SYS_pidfd_open
        : !strcmp(argv[1], "kill-capset") ? SYS_capset : !strcmp(argv[1], "kill-write") ? SYS_process_vm_writev : SYS_pidfd_getfd;
    int fails = !strncmp(argv[1], "fail=", 5);
    if (fails || !strncmp(argv[1], "kill=", 5))
        number = atoi(argv[1] + 5);
    struct sock_filter ends[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, fails ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (fails || !strncmp(argv[1], "kill", 4))
        program = (struct sock_fprog){sizeof ends / sizeof *ends, ends};
    int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);
    if (fd < 0)
        return 97;
    /* The listener lives as long as somebody has it. */
    if (listener && fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    execv(argv[2], argv + 2);
    return 96;
}
