#!/usr/bin/python3
"""One way, in Python; prints what Python saw of it."""
import os
import socket
import subprocess
import urllib.parse

OUTSIDE4, OUTSIDE6, INSIDE = "192.88.1.10", "2a0e:1::10", "10.1.2.3"


def connect(family, kind, host, port):
    with socket.socket(family, kind) as sock:
        error = sock.connect_ex((host, port))
        if error or kind == socket.SOCK_STREAM:
            return error
        # A datagram socket that is connected sends nothing.
        try:
            return sock.send(b"x") - 1
        except OSError as error:
            return error.errno


def run(command, shell):
    try:
        return subprocess.run(command, shell=shell, capture_output=True, text=True).stdout
    except OSError as error:
        return error.errno


WAYS = {
    "simple command": lambda: run(["id", "-u"], False),
    "command with a list": lambda: run("id -u; true", True),
    "tcp v4": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, OUTSIDE4, 4444),
    "tcp v6": lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, OUTSIDE6, 4444),
    "udp v4": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, OUTSIDE4, 4444),
    "common port": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, OUTSIDE4, 8080),
    "local range": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, INSIDE, 4444),
}
print("Content-Type: text/plain\n")
print(WAYS[urllib.parse.unquote(os.environ["QUERY_STRING"])]())
