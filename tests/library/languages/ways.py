# One way, in Python: `ways.py WAY STATIC`, where STATIC is the static program of ways.c. Prints what Python saw of it.
import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys

OUTSIDE = ("192.88.1.10", 4446)
OPEN = ("192.88.1.10", 8080)


def tcp():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def udp():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def address(port=4446):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(OUTSIDE[0]) + bytes(8)


def libc(name="libc.so.6"):
    return ctypes.CDLL(name, use_errno=True)


def checked(result):
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def connected():
    sock = tcp()
    sock.connect(OPEN)
    return sock


def run(*words, **options):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options).stdout


def onto_stdin():
    sock = connected()
    os.dup2(sock.fileno(), 0)
    return "done"


def listen():
    sock = tcp()
    sock.bind((OUTSIDE[0], 4470))
    sock.listen()
    return "done"


def in_memory():
    fd = os.memfd_create("x")
    os.write(fd, open("/bin/echo", "rb").read())
    return run("x", executable=f"/proc/self/fd/{fd}", pass_fds=[fd])


WAYS = {
    "connect": lambda: tcp().connect(OUTSIDE),
    "sendto": lambda: udp().sendto(b"x", OUTSIDE),
    "sendmsg": lambda: udp().sendmsg([b"x"], [], 0, OUTSIDE),
    "listen": listen,
    "os.system": lambda: os.system("exit 3"),
    "subprocess, shell": lambda: run("exit 3", shell=True),
    "os.posix_spawn": lambda: os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], os.environ), 0)[1],
    "os.execv": lambda: os.execv("/bin/sh", ["sh", "-c", "echo 3"]),
    "os.dup2 of a connection onto 0": onto_stdin,
    "subprocess on a connection": lambda: run("/bin/echo", stdin=connected()),
    "program in memory": in_memory,
    "LD_PRELOAD for a child": lambda: run("/bin/echo", env={"LD_PRELOAD": "/nowhere.so"}),
    "name server of its own": lambda: udp().sendto(b"x", (OUTSIDE[0], 53)),
    "metadata service": lambda: udp().sendto(b"x", ("169.254.169.254", 80)),
    "ctypes, libc.connect": lambda: checked(libc().connect(tcp().fileno(), address(), 16)),
    "ctypes, libc.system": lambda: checked(libc().system(b"exit 3")),
    "ctypes, the program's system": lambda: checked(libc(None).system(b"exit 3")),
    "ctypes, libc.syscall": lambda: checked(libc().syscall(42 if os.uname().machine == "x86_64" else 203, tcp().fileno(), address(), 16)),
    "ctypes, libc.execve": lambda: checked(libc().execve(b"/bin/sh", (ctypes.c_char_p * 4)(b"sh", b"-c", b"echo 3", None), None)),
    "ctypes, libc.wordexp": lambda: checked(libc().wordexp(b"$(echo 3)", ctypes.create_string_buffer(64), 0)),
    "a static program": lambda: run(sys.argv[2], "libc", "connect"),
}
try:
    print(WAYS[sys.argv[1]]())
except OSError as error:
    print(errno.errorcode[error.errno])
