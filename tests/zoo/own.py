import os, socket, subprocess, sys, threading
for name in sorted(os.environb):
    print(name, os.environb[name])
for fork in (True, False):
    done = subprocess.run(["sh", sys.argv[1], "a b", ""], capture_output=True, close_fds=fork)
    print(done.stdout.decode(), done.stderr.decode(), done.returncode)
print(os.popen("echo popen; exit 4").read(), os.system("exit 5") >> 8)
print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)[1]))
server = socket.create_server(("127.0.0.1", 0))
print(socket.create_connection(server.getsockname()).getpeername() == server.getsockname())
print(sorted({found[4][0] for found in socket.getaddrinfo("localhost", 80)}))
try:
    os.execv("/nonexistent", ["x"])
except OSError as error:
    print(error)
